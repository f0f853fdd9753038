"""Typed records of training epochs, runs, and the results of a comparison."""

from dataclasses import dataclass, field

from spectral_select.integrations.records.json_records import JsonObject, JsonRecord

__all__ = [
    "FORMAT",
    "NOT_MEASURED",
    "DataRecord",
    "EpochRecord",
    "EpochSeconds",
    "FinalRecord",
    "InputRecord",
    "Measurement",
    "Results",
    "RunRecord",
    "Setting",
]

FORMAT = "spectral_select training results 1"


@dataclass(frozen=True, kw_only=True)
class Measurement(JsonRecord):
    """Accuracy and loss on one split of a dataset; None if the split has no samples.

    Attributes
    ----------
    count : int, optional
        Number of samples.
    accuracy, loss : float or None
        Means over the samples.
    """

    count: int | None = None
    accuracy: float | None
    loss: float | None


#: The measurement of a split that has no samples or has not been evaluated yet.
NOT_MEASURED = Measurement(accuracy=None, loss=None)


@dataclass(kw_only=True)
class EpochSeconds(JsonRecord):
    """Seconds spent on each part of an epoch.

    Attributes
    ----------
    total : float
        The training loop, including waits for selection and images, but not evaluation.
    selection : float
        Selection work, which may run in parallel with training.
    waiting : float
        Time that training waits for selection.
    loading : float
        Loading images.
    training : float, optional
        The remaining time, spent on training steps.
    evaluation : float, optional
        Evaluation after the epoch.
    """

    total: float
    selection: float
    waiting: float
    loading: float
    training: float | None = None
    evaluation: float | None = None


@dataclass(kw_only=True)
class EpochRecord(JsonRecord):
    """One epoch of a run.

    Attributes
    ----------
    epoch : int, optional
        Number of the epoch, counted from 0.
    steps, samples : int
        Number of optimizer steps, and of samples trained on.
    loss, accuracy : float or None
        Means over the training batches.
    decoded : int, optional
        Number of images decoded.
    seconds : EpochSeconds
        Seconds spent on each part of the epoch.
    lr, filter_ratio : float, optional
        Learning rate and filter ratio at the end of the epoch.
    val, test : Measurement
        Measurements after the epoch.
    """

    epoch: int | None = None
    steps: int
    samples: int
    loss: float | None
    accuracy: float | None
    decoded: int | None = None
    seconds: EpochSeconds
    lr: float | None = None
    filter_ratio: float | None = None
    val: Measurement
    test: Measurement


@dataclass(frozen=True, kw_only=True)
class FinalRecord(JsonRecord):
    """Measurements after the last epoch."""

    train: Measurement | None = None
    val: Measurement
    test: Measurement


@dataclass(kw_only=True)
class RunRecord(JsonRecord):
    """One method trained with one seed.

    Attributes
    ----------
    method : str
        The method, with its options.
    seed : int
        The seed.
    needs : list of str
        Inputs that the method needs, such as ``"features"``, ``"reference"`` or ``"fresh"``.
    precompute_seconds : float, optional
        Time that the method needed before training.
    status : str
        ``"running"`` or ``"complete"``.
    initial_weights, final_weights : str, optional
        Hashes of the network's weights.
    history : list of EpochRecord
        The finished epochs.
    final : FinalRecord, optional
        Measurements of a complete run.
    gallery, last_layer : str, optional
        Files with recorded batches and the last layer, relative to the results folder.
    config : dict, optional
        In a sweep, the differences from the comparison's configuration.
    """

    method: str
    seed: int
    needs: list[str]
    precompute_seconds: float | None = None
    status: str
    initial_weights: str | None = None
    history: list[EpochRecord]
    final: FinalRecord | None = None
    final_weights: str | None = None
    gallery: str | None = field(default=None, metadata={"omit": True})
    last_layer: str | None = field(default=None, metadata={"omit": True})
    config: JsonObject | None = field(default=None, metadata={"omit": True})

    @property
    def complete(self) -> bool:
        """Whether training was completed."""
        return self.status == "complete" and self.final is not None


@dataclass(frozen=True, kw_only=True)
class DataRecord(JsonRecord):
    """The dataset of a comparison.

    Attributes
    ----------
    name : str
        Name or folder.
    n_classes : int, optional
        Number of classes.
    count : dict, optional
        Number of samples in each split.
    fingerprint : dict, optional
        Fingerprint of each split.
    extra : dict
        How the dataset was split.
    """

    name: str
    n_classes: int | None = field(default=None, metadata={"omit": True})
    count: dict[str, int] | None = field(default=None, metadata={"omit": True})
    fingerprint: JsonObject | None = field(default=None, metadata={"omit": True})
    extra: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Setting(JsonRecord):
    """The configuration values shown in reports; unknown values are None.

    Attributes
    ----------
    model, weights, lr_schedule : str or None
        The network, its initial weights, and the learning-rate schedule.
    image_size, epochs, candidate_size : int or None
        Image size in px, number of epochs, and number of candidates per step.
    filter_ratio, lr, momentum : float or None
        Share of the candidates that is discarded, learning rate and momentum.
    """

    model: str | None = None
    weights: str | None = None
    lr_schedule: str | None = None
    image_size: int | None = None
    epochs: int | None = None
    candidate_size: int | None = None
    filter_ratio: float | None = None
    lr: float | None = None
    momentum: float | None = None


@dataclass(frozen=True, kw_only=True)
class InputRecord(JsonRecord):
    """An input to methods: features or a reference model.

    Attributes
    ----------
    source : str, optional
        Description.
    seconds : float or None
        Time for extraction or training, or None if unknown.
    extra : dict
        Other properties, such as the number of features.
    """

    source: str | None = None
    seconds: float | None
    extra: JsonObject = field(default_factory=dict)


@dataclass(kw_only=True)
class Results(JsonRecord):
    """The results of a comparison, as stored in ``results.json``.

    Parameters
    ----------
    format : str
        Format of the file.
    status : str
        ``"running"``, ``"complete"``, ``"interrupted"`` or ``"failed"``.
    command, started, finished : str, optional
        Command line, start time and end time.
    resumed : list of str
        Times when the comparison was resumed.
    hardware, versions : dict, optional
        The machine, and package versions.
    config : dict
        Training configuration.
    methods : list of str
        The methods compared, with their options.
    seeds : list of int
        The seeds.
    data : DataRecord
        The dataset.
    features : InputRecord
        The features.
    reference : InputRecord, optional
        The reference model.
    runs : list of RunRecord
        One run per method and seed.
    models : str, optional
        Folder of the saved models.
    extra : dict
        Other entries.

    Attributes
    ----------
    setting : Setting
        The part of `config` that reports show.

    Examples
    --------
    >>> content = {"status": "complete", "seeds": [0], "runs": [], "config": {}}
    >>> content |= {"data": {"name": "digits"}, "features": {"seconds": 0.5}}
    >>> Results.from_json(content).data.name
    'digits'
    """

    format: str = FORMAT
    status: str
    command: str | None = None
    started: str | None = None
    finished: str | None = None
    resumed: list[str] = field(default_factory=list)
    hardware: JsonObject | None = None
    versions: JsonObject | None = None
    config: JsonObject
    methods: list[str] = field(default_factory=list)
    seeds: list[int]
    data: DataRecord
    features: InputRecord
    reference: InputRecord | None = None
    runs: list[RunRecord]
    models: str | None = None
    extra: JsonObject = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.setting = Setting.from_json(self.config, "config")

    @property
    def needs(self) -> set[str]:
        """All inputs that the methods need."""
        return {need for run in self.runs for need in run.needs}

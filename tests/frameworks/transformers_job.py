"""Hugging Face Trainer: three epochs, and training resumed from a checkpoint."""

import sys

from frameworks.job_tools import (
    EPOCHS,
    FORMS,
    INNER,
    Net,
    Numbered,
    make_sampler,
    rows_solved,
    write_record,
)


def main():
    """Train with each form of the sampler."""
    from torch.utils.data import DataLoader
    from transformers import Trainer, TrainerCallback, TrainingArguments

    class Recording(TrainerCallback):
        def __init__(self):
            self.epochs, self.lengths = [], []

        def on_epoch_begin(self, args, state, control, train_dataloader=None, **_):
            self.epochs.append([])
            self.lengths.append(len(train_dataloader))

    class SpectralTrainer(Trainer):
        def get_train_dataloader(self):
            loader = DataLoader(
                self.train_dataset,
                batch_sampler=self.batches,
                collate_fn=self.data_collator,
            )
            return self.accelerator.prepare(loader)

        def compute_loss(self, model, inputs, *args, **kwargs):
            self.recording.epochs[-1].append(inputs["index"].tolist())
            return super().compute_loss(model, inputs, *args, **kwargs)

    def trainer(form, inner, **options):
        arguments = TrainingArguments(
            output_dir=f"{sys.argv[1]}/run-{form}-{inner}",
            num_train_epochs=EPOCHS,
            use_cpu=True,
            report_to=[],
            disable_tqdm=True,
            remove_unused_columns=False,
            logging_strategy="no",
            **{"save_strategy": "no", **options},
        )
        recording = Recording()
        made = SpectralTrainer(Net(), arguments, train_dataset=Numbered(), callbacks=[recording])
        made.recording = recording
        made.batches, made.calls = make_sampler(form, INNER[inner]())
        return made

    record = {}
    for form, inner in [(form, "none") for form in FORMS] + [("papers", inner) for inner in INNER]:
        # Leave out the optimizer's state, which transformers before 5.20 cannot load on
        # several CPU ranks.
        made = trainer(form, inner, save_strategy="steps", save_steps=9, save_only_model=True)
        made.train()
        record[f"{form}, {inner}"] = {
            "epochs": made.recording.epochs,
            "lengths": made.recording.lengths,
            "solved": rows_solved(made.calls),
        }
        again = trainer(form, inner)
        checkpoint = f"{again.args.output_dir}/checkpoint-9"
        again.train(resume_from_checkpoint=checkpoint)
        record[f"{form}, {inner}, resumed"] = {"epochs": again.recording.epochs}
    write_record(record)


if __name__ == "__main__":
    main()

"""Small labeled texts in files."""

import json

import numpy as np

TOPICS = {
    "animals": "cat dog horse cow sheep goat bird fish fox wolf tail fur claw nest farm",
    "physics": "atom energy mass force field light wave charge speed heat quantum spin",
    "food": "bread rice soup salt pepper apple pear cheese milk oven spoon sugar plate",
}


def write_texts(path, n_per_class=20, seed=0, label="topic"):
    """Write a .jsonl file of sentences about three topics, and return the path."""
    rng = np.random.default_rng(seed)
    rows = []
    for topic, words in TOPICS.items():
        for i in range(n_per_class):
            text = " ".join(rng.choice(words.split(), 8))
            rows.append({"id": f"{topic}-{i}", "text": f"The {text}.", label: topic})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path

import numpy as np
import pytest
import torch
from torch import nn

from fcrn_mobile.mil import Program
from tests.mil.build import COVERED, convert, ct
from tests.mil.ops.arrays import values


@pytest.mark.parametrize("labels", [["cat", "dog", "cow"], [10, 20, 30]])
def test_a_classifier_gives_its_label_and_all_scores(labels, tmp_path) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 3), nn.Softmax(-1))
    x = ct.TensorType("x", shape=(1, 4))
    path = convert(network, [torch.rand(1, 4)], tmp_path, inputs=[x], classifier_config=ct.ClassifierConfig(labels))
    program = Program.load(path)
    sample = values(0, 1, 4)
    with torch.no_grad():
        scores = network(torch.from_numpy(sample))[0].tolist()
    results = program.predict({"x": sample})
    assert results["classLabel"] == labels[int(np.argmax(scores))]
    assert results["classLabel_probs"] == pytest.approx(dict(zip(labels, scores, strict=True)), rel=1e-5)
    COVERED.add("classify")

import pytest
import torch
from torch import nn

from fcrn_mobile.training.selfsupervised.pose import PoseNetwork


def test_it_is_seven_strided_convolutions_and_a_pose_per_source() -> None:
    network = PoseNetwork(2)
    convs = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    assert [(conv.out_channels, conv.kernel_size[0], conv.stride[0]) for conv in convs] == [
        (16, 7, 2),
        (32, 5, 2),
        (64, 3, 2),
        (128, 3, 2),
        (256, 3, 2),
        (256, 3, 2),
        (256, 3, 2),
        (12, 1, 1),
    ]


@pytest.mark.parametrize("size", [(32, 48), (33, 50), (112, 160)])
def test_twists_and_masks_fit_sources_and_pictures_of_any_size(size) -> None:
    twists, logits = PoseNetwork(2, explains=True)(torch.rand(3, 3, 3, *size))
    assert twists.shape == (3, 2, 6)
    assert logits is not None
    assert logits.shape == (3, 2, *size)


def test_without_masks_there_are_none() -> None:
    assert PoseNetwork(1)(torch.rand(1, 2, 3, 32, 32))[1] is None


def test_the_first_motions_are_a_hundredth_of_the_prediction() -> None:
    network = PoseNetwork(1)
    nn.init.zeros_(network.twist.weight)
    nn.init.constant_(network.twist.bias, 2.0)  # type: ignore[arg-type]
    assert torch.allclose(network(torch.rand(1, 2, 3, 32, 32))[0], torch.full((1, 1, 6), 0.02))

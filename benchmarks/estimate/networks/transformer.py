"""Vision and text transformers, Depth Anything, and the single layers that were published: written from the papers."""

from networks.network import Network

__all__ = ["attention_layer", "convolutions", "depth_anything", "matrix_product", "mobileclip_text", "mobileclip_vit", "vit"]


def _layers(network: Network, count: int, heads: int) -> Network:
    """Layers of a vision transformer (Dosovitskiy et al. 2021), expansion 4."""
    c = network.channels
    for _ in range(count):
        network.norm().attention(heads, qkv_bias=True).add().norm().conv(4 * c).conv(c).add()
    return network


def vit(size: int, backbone: bool, patch: int, width: int, count: int, heads: int) -> Network:
    """ViT (Dosovitskiy et al. 2021, arXiv 2010.11929, table 1): patches and a class token."""
    network = Network(3, size, size).conv(width, patch, patch)
    network.height, network.width = 1, network.positions + 1
    network.parameters += (network.width + 1) * width
    _layers(network, count, heads).norm()
    network.width = 1
    return network if backbone else network.linear(1000)


def mobileclip_vit(size: int, backbone: bool) -> Network:
    """MobileCLIP-B's image encoder (Vasu et al. 2024, arXiv 2311.17049): ViT-B/16 behind a convolutional stem, 512 features."""
    network = Network(3, size, size).conv(192, 4, 4).conv(192, 2, 2).conv(768, 2, 2)
    network.height, network.width = 1, network.positions + 1
    network.parameters += (network.width + 1) * 768
    _layers(network, 12, 12).norm()
    network.width = 1
    return network if backbone else network.linear(512, bias=False)


def mobileclip_text(size: int, backbone: bool, width: int, count: int, heads: int) -> Network:
    """CLIP's text transformer (Radford et al. 2021, arXiv 2103.00020) as MobileCLIP uses it: 77 tokens, a table of 49,408 words."""
    network = Network(width, 1, 77)
    network.parameters += (49408 + 77) * width
    network.move(2, 3)
    _layers(network, count, heads).norm()
    network.width = 1
    return network.linear(512, bias=False)


def depth_anything(size: int, backbone: bool) -> Network:
    """Depth Anything small: DINOv2-S/14 and a DPT head of 64 features (Yang et al. 2024, arXiv 2401.10891), 518×392."""
    rows, columns = 28, size // 14
    network = Network(3, 14 * rows, 14 * columns).conv(384, 14, 14)
    network.height, network.width = 1, rows * columns + 1
    network.parameters += 1370 * 384 + 2 * 384 + 12 * 2 * 384  # positions of 37×37 patches and a token, last norm, layer scales
    _layers(network, 12, 6)
    levels = [_reassembled(rows, columns, out, scale) for out, scale in ((48, 4.0), (96, 2.0), (192, 1.0), (384, 0.5))]
    for level in reversed(levels):
        network.join(level)
        for _ in range(1 if level is levels[-1] else 2):
            network.join(level.branch().conv(64, 3).conv(64, 3).add())
        network.join(level.branch().resize(2 * level.height, 2 * level.width).conv(64))
    full = Network(64, 8 * rows, 8 * columns).conv(32, 3).resize(14 * rows, 14 * columns)
    return network.join(full.conv(32, 3).conv(1))


def _reassembled(rows: int, columns: int, out: int, scale: float) -> Network:
    """Tokens of one level as a map at a scale of the patches, with 64 features."""
    level = Network(384, rows, columns).conv(out)
    if scale > 1:  # a transposed convolution whose kernel is its stride: as many products as a convolution to so many times the channels
        taps = int(scale) ** 2
        level.conv(out * taps, bias=False)
        level.parameters += out
        level.channels, level.height, level.width = out, level.height * int(scale), level.width * int(scale)
    elif scale < 1:
        level.conv(out, 3, 2)
    return level.conv(64, 3, bias=False)


def matrix_product(size: int, backbone: bool, inner: int, columns: int) -> Network:
    """One matrix product with constant weights, of so many rows."""
    return Network(inner, 1, size).linear(columns)


def convolutions(size: int, backbone: bool, channels: int, count: int, batch: int = 1) -> Network:
    """3×3 convolutions in a row, of a batch."""
    network = Network(channels, batch * size, size)
    for _ in range(count):
        network.conv(channels, 3)
    return network


def attention_layer(size: int, backbone: bool, channels: int, heads: int) -> Network:
    """One attention layer with its four projections, over so many tokens."""
    return Network(channels, 1, size).attention(heads)

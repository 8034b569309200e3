"""Networks whose latency was published, as far as their cost goes: shapes of convolutions, products and element-wise operators.

Written from the papers and the published configurations; parameters and multiply-accumulates are held against the published ones in
tests/latency/test_networks.py.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from networks.attentive import iformer, mobilevit, mobilevitv2, shvit
from networks.convolutional import convnext, densenet, mobileone, poolformer, resnet, vgg
from networks.depth import zipdepth
from networks.hybrid import efficientformer, efficientformerv2, swiftformer
from networks.inverted import efficientnet, mobilenetv1, mobilenetv2, mobilenetv3, mobilenetv4
from networks.mixers import fastvit, recnext, repnext, repvit
from networks.network import Layer, Network
from networks.transformer import attention_layer, convolutions, depth_anything, matrix_product, mobileclip_text, mobileclip_vit, vit
from networks.yolo import yolo26_depth

__all__ = ["NETWORKS", "Described", "Layer", "Network", "described"]


@dataclass(frozen=True)
class Described:
    """A description: the family it belongs to, its usual input size, and what builds it at a size, with a classifier or as a backbone."""

    family: str
    size: int
    build: Callable[[int, bool], Network]

    def __call__(self, size: int | None = None, backbone: bool = False) -> Network:
        """The network at its usual size, or at another."""
        return self.build(size or self.size, backbone)


def _family(family: str, size: int, **variants: Callable[[int, bool], Network]) -> dict[str, Described]:
    return {f"{family}-{variant}".replace("_", "."): Described(family, size, build) for variant, build in variants.items()}


_REPVIT_DEPTHS = {"m0_6": ((2, 2, 9, 1), 40), "m0_9": ((3, 3, 15, 2), 48), "m1_0": ((3, 3, 15, 2), 56), "m1_1": ((3, 3, 13, 2), 64)}
_REPVIT_DEPTHS |= {"m1_5": ((5, 5, 25, 4), 64), "m2_3": ((7, 7, 35, 2), 80)}
_NEXT_DEPTHS = {"0": ((2, 2, 9, 1), 40), "1": ((3, 3, 15, 2), 48), "2": ((3, 3, 15, 2), 56), "3": ((3, 3, 13, 2), 64)}
_NEXT_DEPTHS |= {"4": ((5, 5, 25, 4), 64), "5": ((7, 7, 35, 2), 80)}
_SWIFT = {"xs": ((3, 3, 6, 4), (48, 56, 112, 220)), "s": ((3, 3, 9, 6), (48, 64, 168, 224))}
_SWIFT |= {"l1": ((4, 3, 10, 5), (48, 96, 192, 384)), "l3": ((4, 4, 12, 6), (64, 128, 320, 512))}

NETWORKS: dict[str, Described] = {
    **_family("repvit", 224, **{name: partial(repvit, blocks=b, width=w) for name, (b, w) in _REPVIT_DEPTHS.items()}),
    **_family("repnext", 224, **{f"m{name}": partial(repnext, blocks=b, width=w) for name, (b, w) in _NEXT_DEPTHS.items()}),
    **_family("recnext", 224, **{f"m{name}": partial(recnext, blocks=b, width=w) for name, (b, w) in _NEXT_DEPTHS.items()}),
    **_family(
        "recnext",
        224,
        **{
            f"a{name}": partial(recnext, blocks=b, width=w, attention=True, expansion=1.875 if name >= "3" else 2)
            for name, (b, w) in _NEXT_DEPTHS.items()
        },
    ),
    **_family("swiftformer", 224, **{name: partial(swiftformer, blocks=b, widths=w) for name, (b, w) in _SWIFT.items()}),
    **_family(
        "efficientformer",
        224,
        l1=partial(efficientformer, blocks=(3, 2, 6, 4), widths=(48, 96, 224, 448), attentions=1),
        l3=partial(efficientformer, blocks=(4, 4, 12, 6), widths=(64, 128, 320, 512), attentions=4),
        l7=partial(efficientformer, blocks=(6, 6, 18, 8), widths=(96, 192, 384, 768), attentions=8),
    ),
    **_family(
        "efficientformerv2",
        224,
        s0=partial(efficientformerv2, blocks=(2, 2, 6, 4), widths=(32, 48, 96, 176), expansions=(1, 3, 1, 2), attentions=2),
        s1=partial(efficientformerv2, blocks=(3, 3, 9, 6), widths=(32, 48, 120, 224), expansions=(2, 4, 2, 2), attentions=2),
        s2=partial(efficientformerv2, blocks=(4, 4, 12, 8), widths=(32, 64, 144, 288), expansions=(2, 6, 2, 4), attentions=4),
        l=partial(efficientformerv2, blocks=(5, 5, 15, 10), widths=(40, 80, 192, 384), expansions=(4, 7, 3, 4), attentions=6),
    ),
    **_family("shvit", 256, s4=partial(shvit, blocks=(4, 7, 6), widths=(224, 336, 448), attended=(48, 72, 96))),
    **_family(
        "iformer",
        224,
        t=partial(iformer, widths=(32, 64, 128, 256), early=(2, 2, 6), attentions=(3, 2), expansion=3, mixing=2),
        s=partial(iformer, widths=(32, 64, 176, 320), early=(2, 2, 9), attentions=(3, 2)),
        m=partial(iformer, widths=(48, 96, 192, 384), early=(2, 2, 9), attentions=(4, 2)),
        l=partial(iformer, widths=(48, 96, 256, 384), early=(2, 2, 8), attentions=(8, 2)),
        l2=partial(iformer, widths=(64, 128, 256, 512), early=(3, 3, 12), attentions=(11, 3)),
    ),
    **_family(
        "mobileone",
        224,
        s0=partial(mobileone, widths=(0.75, 1, 1, 2)),
        s1=partial(mobileone, widths=(1.5, 1.5, 2, 2.5)),
        s2=partial(mobileone, widths=(1.5, 2, 2.5, 4)),
        s3=partial(mobileone, widths=(2, 2.5, 3, 4)),
        s4=partial(mobileone, widths=(3, 3.5, 3.5, 4), squeeze_excite=True),
    ),
    **_family(
        "fastvit",
        256,
        t8=partial(fastvit, blocks=(2, 2, 4, 2), width=48, expansion=3, attention=False),
        t12=partial(fastvit, blocks=(2, 2, 6, 2), width=64, expansion=3, attention=False),
        s12=partial(fastvit, blocks=(2, 2, 6, 2), width=64, expansion=4, attention=False),
        sa12=partial(fastvit, blocks=(2, 2, 6, 2), width=64, expansion=4, attention=True),
        sa24=partial(fastvit, blocks=(4, 4, 12, 4), width=64, expansion=4, attention=True),
        sa36=partial(fastvit, blocks=(6, 6, 18, 6), width=64, expansion=4, attention=True),
        ma36=partial(fastvit, blocks=(6, 6, 18, 6), width=76, expansion=4, attention=True),
    ),
    **_family(
        "mobileclip",
        256,
        s0=partial(fastvit, blocks=(2, 6, 10, 2), width=64, expansion=3, attention=True, squeezes=True, classes=512),
        s1=partial(fastvit, blocks=(4, 12, 20, 4), width=64, expansion=3, attention=True, squeezes=True, classes=512),
        s2=partial(fastvit, blocks=(4, 12, 24, 4), width=80, expansion=3, attention=True, squeezes=True, classes=512),
    ),
    **_family("mobileclip", 224, b=mobileclip_vit),
    **_family(
        "mobileclip.text",
        77,
        b=partial(mobileclip_text, width=512, count=12, heads=8),
        l=partial(mobileclip_text, width=768, count=12, heads=12),
    ),
    **_family("mobilenetv1", 224, **{"1_0": mobilenetv1}),
    **_family("mobilenetv2", 224, **{str(w).replace(".", "_"): partial(mobilenetv2, width=w) for w in (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)}),
    **_family("mobilenetv3", 224, small=partial(mobilenetv3, large=False), large=partial(mobilenetv3, large=True)),
    **_family("mobilenetv3", 224, **{"large_0_75": partial(mobilenetv3, large=True, width=0.75)}),
    **_family("mobilenetv4", 224, small=partial(mobilenetv4, variant="small")),
    **_family("mobilenetv4", 256, medium=partial(mobilenetv4, variant="medium")),
    **_family("mobilenetv4", 384, large=partial(mobilenetv4, variant="large")),
    **_family("efficientnet", 224, b0=efficientnet),
    **_family("efficientnet", 240, b1=partial(efficientnet, depth=1.1)),
    **_family("efficientnet", 300, b3=partial(efficientnet, width=1.2, depth=1.4)),
    **_family("poolformer", 224, **{f"s{sum(b)}": partial(poolformer, blocks=b) for b in ((2, 2, 6, 2), (4, 4, 12, 4), (6, 6, 18, 6))}),
    **_family("resnet", 224, **{"18": partial(resnet, blocks=(2, 2, 2, 2), bottleneck=False)}),
    **_family("resnet", 224, **{"34": partial(resnet, blocks=(3, 4, 6, 3), bottleneck=False)}),
    **_family(
        "resnet",
        224,
        **{
            name: partial(resnet, blocks=(3, *deep, 3), bottleneck=True)
            for name, deep in (("50", (4, 6)), ("101", (4, 23)), ("152", (8, 36)))
        },
    ),
    **_family(
        "vgg",
        224,
        **{
            "11": partial(vgg, blocks=(1, 1, 2, 2, 2)),
            "13": partial(vgg, blocks=(2, 2, 2, 2, 2)),
            "16": partial(vgg, blocks=(2, 2, 3, 3, 3)),
            "19": partial(vgg, blocks=(2, 2, 4, 4, 4)),
        },
    ),
    **_family(
        "densenet",
        224,
        **{
            "121": partial(densenet, blocks=(6, 12, 24, 16), growth=32, first=64),
            "161": partial(densenet, blocks=(6, 12, 36, 24), growth=48, first=96),
            "169": partial(densenet, blocks=(6, 12, 32, 32), growth=32, first=64),
            "201": partial(densenet, blocks=(6, 12, 48, 32), growth=32, first=64),
        },
    ),
    **_family(
        "convnext",
        224,
        t=partial(convnext, blocks=(3, 3, 9, 3), widths=(96, 192, 384, 768)),
        b=partial(convnext, blocks=(3, 3, 27, 3), widths=(128, 256, 512, 1024)),
    ),
    **_family("mobilevit", 256, s=mobilevit),
    **_family("mobilevitv2", 256, **{"1_0": mobilevitv2}),
    **_family("vit", 224, b16=partial(vit, patch=16, width=768, count=12, heads=12)),
    **_family("depth-anything", 518, small=depth_anything),
    **_family("zipdepth", 384, **{head: partial(zipdepth, head=head) for head in ("unfold", "npu", "bilinear")}),
    **_family("yolo26-depth", 640, **{scale: partial(yolo26_depth, scale=scale) for scale in "nsmlx"}),
    **_family("product", 64, **{"256-256": partial(matrix_product, inner=256, columns=256)}),
    **_family("product", 128, **{"1024-1024": partial(matrix_product, inner=1024, columns=1024)}),
    **_family("product", 256, **{"4096-4096": partial(matrix_product, inner=4096, columns=4096)}),
    **_family("product", 512, **{"512-512": partial(matrix_product, inner=512, columns=512)}),
    **_family("product", 2048, **{"2048-2048": partial(matrix_product, inner=2048, columns=2048)}),
    **_family(
        "convolutions",
        64,
        **{
            f"{c}-b{batch}": partial(convolutions, channels=c, count=1, batch=batch) for c, batch in ((64, 8), (128, 8), (256, 4), (512, 2))
        },
    ),
    **_family("convolutions", 32, **{"64-1": partial(convolutions, channels=64, count=1)}),
    **_family("convolutions", 32, **{"256-16": partial(convolutions, channels=256, count=16)}),
    **_family("attention", 197, **{"768-12": partial(attention_layer, channels=768, heads=12)}),
}


def described(name: str) -> Network:
    """A network by name: ``NAME``, ``NAME@SIZE`` for another input size, with `` backbone`` behind it for one without its classifier."""
    base, _, rest = name.partition(" ")
    base, _, size = base.partition("@")
    return NETWORKS[base](int(size) if size else None, rest == "backbone")

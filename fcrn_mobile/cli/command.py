"""What holds for every command: an option is given once, and outputs can be written before any work begins."""

from typing import Any

import click

from fcrn_mobile.cli.outputs import check_outputs
from fcrn_mobile.once import forget_warnings

__all__ = ["Command"]


class Command(click.Command):
    """``@click.command("name", cls=Command)``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse as click does, but take no option twice that has one value: click keeps the last without a word."""
        _, _, params = self.make_parser(ctx).parse_args(args=list(args))
        if any(param.is_eager for param in params):
            return super().parse_args(ctx, args)  # --help ends the command, whatever else is on the line
        for param in params:
            if isinstance(param, click.Option) and params.count(param) > 1 and _has_one_value(param):
                names = "/".join([*param.opts, *param.secondary_opts])
                ctx.fail(f"{names} is given {params.count(param)} times and has one value: give it once")
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command once its outputs are checked; what is said once in a run may be said again."""
        check_outputs(ctx)
        forget_warnings()
        return super().invoke(ctx)


def _has_one_value(option: click.Option) -> bool:
    # A flag that can only be set says the same twice.
    return not option.multiple and not option.count and not (option.is_flag and not option.secondary_opts)

"""The toolkits whose files can be told, by the names that users give them."""

from typing import Literal, get_args

ToolkitName = Literal["snntorch", "norse", "spikingjelly", "sinabs"]
TOOLKIT_NAMES: tuple[ToolkitName, ...] = get_args(ToolkitName)

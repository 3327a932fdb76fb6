"""What Axolotl's configuration cannot say, as a plugin: the Trainer refuses bf16 on a CPU that it was not told of."""

from typing import Any

from axolotl.integrations.base import BasePlugin


class OnCpu(BasePlugin):
    """Tells the Trainer that it is on a CPU."""

    def get_training_args(self, cfg: Any) -> dict[str, bool]:
        """Beside those of the configuration."""
        return {"use_cpu": True}

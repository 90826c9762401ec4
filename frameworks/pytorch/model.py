"""The model: how it is fitted, saved, loaded and asked.

Replace this module by your own model; training, contract, API and tests need only the names that are public here.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from .data import FEATURES
from .parity import seeding

PARAMETERS: dict[str, int | float | str] = {
    "hidden": 32,
    "epochs": 40,
    "batch_size": 32,
    "learning_rate": 3e-3,
    "weight_decay": 1e-2,
    # The rows are in memory already, so that workers would only cost; any number gives the same samples.
    "num_workers": 0,
}


class Network(nn.Module):
    """A perceptron with one hidden layer, which keeps the scale of its inputs with its weights."""

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        hidden = int(PARAMETERS["hidden"])
        # Buffers: saved with the weights and not learned.
        self.register_buffer("mean", torch.zeros(len(FEATURES)))
        self.register_buffer("deviation", torch.ones(len(FEATURES)))
        self.layers = nn.Sequential(nn.Linear(len(FEATURES), hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, rows: Tensor) -> Tensor:
        """Return the log-odds of each row."""
        logits: Tensor = self.layers((rows - self.mean) / self.deviation)
        return logits.squeeze(-1)


def initial(features: Tensor, generator: torch.Generator) -> Network:
    """Return a network that knows the scale of `features` and has learned nothing yet."""
    network = Network()
    network.mean, network.deviation = features.mean(0), features.std(0)
    for layer in network.layers:
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight, generator=generator)
            nn.init.zeros_(layer.bias)
    return network


def batches(features: Tensor, target: Tensor, generator: torch.Generator) -> DataLoader[tuple[Tensor, ...]]:
    """Return the rows in batches, in another order each epoch: the same ones whatever `num_workers` is.

    The order is drawn in this process, by a generator of its own. What a worker draws for one row comes from
    `seeding.rng("noise", epoch, row)`, as workers have no common state.
    https://docs.pytorch.org/docs/stable/notes/randomness.html#dataloader
    """
    return DataLoader(
        TensorDataset(features, target),
        batch_size=int(PARAMETERS["batch_size"]),
        shuffle=True,
        num_workers=int(PARAMETERS["num_workers"]),
        worker_init_fn=seeding.seed_worker,
        generator=generator,
    )


def fit(
    features: NDArray[np.float64],
    target: NDArray[np.float64],
    *,
    seed: int | None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Network:
    """Fit a network on rows of `features` (rows, len(FEATURES)) and `target` (rows,), on a GPU where there is one.

    `seed` None takes another one each time; `progress` is told (epochs so far, epochs in all).
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    generator = torch.Generator()
    generator.seed() if seed is None else generator.manual_seed(seed)
    inputs, wanted = (torch.as_tensor(table, dtype=torch.float32) for table in (features, target))
    network = initial(inputs, generator).to(device)
    optimizer = torch.optim.AdamW(
        network.parameters(),
        lr=float(PARAMETERS["learning_rate"]),
        weight_decay=float(PARAMETERS["weight_decay"]),
    )
    loss = nn.BCEWithLogitsLoss()
    loader, epochs = batches(inputs, wanted, generator), int(PARAMETERS["epochs"])
    for epoch in range(epochs):
        for rows, labels in loader:
            optimizer.zero_grad()
            loss(network(rows.to(device)), labels.to(device)).backward()
            optimizer.step()
        progress(epoch + 1, epochs)
    return ready(network)


def ready(network: Network) -> Network:
    """Return the network as it is asked: on the CPU, and in double precision.

    In single precision a prediction moves by 1e-7 with the CPU and with the rows beside it; so its last bits do
    not show, and a model from a GPU answers everywhere alike.
    """
    return network.cpu().double().eval()


@torch.inference_mode()
def predict(model: Network, rows: Sequence[Sequence[float]] | NDArray[np.float64]) -> list[float]:
    """Return the TARGET, from 0 to 1, of each row of len(FEATURES) numbers."""
    features = torch.as_tensor(np.asarray(rows, dtype=np.float64).reshape(-1, len(FEATURES)))
    return [float(probability) for probability in model(features).sigmoid()]


def save(model: Network, path: Path) -> None:
    """Write the weights to `path` as safetensors, which runs no code when it is read; the layers stand in this module.

    https://huggingface.co/docs/safetensors/
    """
    save_file(model.state_dict(), path)


def load(path: Path) -> Network:
    """Read what `save` wrote; raises SafetensorError or RuntimeError where the file does not hold these layers."""
    network = ready(Network())
    network.load_state_dict(load_file(path))
    return network

"""The model: how it is fitted, saved, loaded and asked.

Replace this module by your own model; training, contract, API and tests need only the names that are public here.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from secrets import randbits

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from numpy.typing import NDArray

from .data import FEATURES

PARAMETERS: dict[str, int | float | str] = {
    "hidden": 32,
    "epochs": 20,
    "batch_size": 32,
    "learning_rate": 2e-3,
    "weight_decay": 0.1,
}
OPTIMIZER = optax.adamw(float(PARAMETERS["learning_rate"]), weight_decay=float(PARAMETERS["weight_decay"]))


class Network(eqx.Module):
    """A perceptron with one hidden layer, which keeps the scale of its inputs with its weights."""

    mean: Array
    deviation: Array
    layers: eqx.nn.MLP

    def __call__(self, row: Array) -> Array:
        """Return the log-odds of one row."""
        logit: Array = self.layers((row - self.mean) / self.deviation)
        return logit


def initial(key: Array) -> eqx.nn.MLP:
    """Return layers that have learned nothing yet."""
    return eqx.nn.MLP(len(FEATURES), "scalar", int(PARAMETERS["hidden"]), depth=1, key=key)


def loss(layers: eqx.nn.MLP, rows: Array, labels: Array) -> Array:
    """Return the mean cross entropy."""
    mean: Array = optax.sigmoid_binary_cross_entropy(jax.vmap(layers)(rows), labels).mean()
    return mean


@eqx.filter_jit
def step(
    layers: eqx.nn.MLP, state: optax.OptState, rows: Array, labels: Array, batch: Array
) -> tuple[eqx.nn.MLP, optax.OptState]:
    """Return the layers and the optimizer's state after one batch, which is given by the numbers of its rows."""
    gradients = eqx.filter_grad(loss)(layers, rows[batch], labels[batch])
    updates, state = OPTIMIZER.update(gradients, state, eqx.filter(layers, eqx.is_array))
    return eqx.apply_updates(layers, updates), state


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
    # JAX draws from keys alone, and all keys come from this one. https://docs.jax.dev/en/latest/random-numbers.html
    key = jax.random.key(randbits(32) if seed is None else seed)
    weights, shuffle = jax.random.split(key)
    rows, labels = jnp.asarray(features, jnp.float32), jnp.asarray(target, jnp.float32)
    mean, deviation = rows.mean(0), rows.std(0)
    rows = (rows - mean) / deviation
    layers = initial(weights)
    state = OPTIMIZER.init(eqx.filter(layers, eqx.is_array))
    epochs, size = int(PARAMETERS["epochs"]), int(PARAMETERS["batch_size"])
    for epoch in range(epochs):
        order = jax.random.permutation(jax.random.fold_in(shuffle, epoch), len(rows))
        # The rows that fill no batch wait for another epoch: each new shape would be compiled.
        for batch in order[: len(rows) // size * size].reshape(-1, size):
            layers, state = step(layers, state, rows, labels, batch)
        progress(epoch + 1, epochs)
    return ready(Network(mean, deviation, layers))


def double_precision() -> AbstractContextManager[None]:
    """Return a block in which JAX has 64 bits, which it leaves off by default.

    https://docs.jax.dev/en/latest/default_dtypes.html
    """
    block: AbstractContextManager[None] = jax.enable_x64(True)  # noqa: FBT003 - JAX takes it so
    return block


def ready(network: Network) -> Network:
    """Return the network as it is asked: in double precision.

    In single precision a prediction moves by 1e-7 with the CPU and with the rows beside it; so its last bits do
    not show, and a model from a GPU answers everywhere alike.
    """
    arrays, rest = eqx.partition(network, eqx.is_array)
    with double_precision():
        doubled: Network = eqx.combine(jax.tree.map(lambda array: array.astype(jnp.float64), arrays), rest)
    return doubled


@eqx.filter_jit
def probabilities(network: Network, rows: Array) -> Array:
    """Return the TARGET of each row."""
    return jax.nn.sigmoid(jax.vmap(network)(rows))


def predict(model: Network, rows: Sequence[Sequence[float]] | NDArray[np.float64]) -> list[float]:
    """Return the TARGET, from 0 to 1, of each row of len(FEATURES) numbers."""
    features = np.asarray(rows, dtype=np.float64).reshape(-1, len(FEATURES))
    # Filled up to a power of two: each new number of rows would be compiled, and a request wait for it.
    filled = np.zeros((1 << len(features).bit_length(), len(FEATURES)))
    filled[: len(features)] = features
    with double_precision():
        return [float(probability) for probability in probabilities(model, jnp.asarray(filled))[: len(features)]]


def save(model: Network, path: Path) -> None:
    """Write the weights to `path` as NumPy's arrays, one after the other; the layers stand in this module.

    https://docs.kidger.site/equinox/api/serialisation/
    """
    with path.open("wb") as file, double_precision():
        eqx.tree_serialise_leaves(file, model)


def load(path: Path) -> Network:
    """Read what `save` wrote; raises RuntimeError where the file does not hold these layers. It runs no code."""
    scale = jnp.zeros(len(FEATURES))
    like = ready(Network(scale, scale, initial(jax.random.key(0))))
    with path.open("rb") as file, double_precision():
        network: Network = eqx.tree_deserialise_leaves(file, like)
    return network

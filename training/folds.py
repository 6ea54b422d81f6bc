"""Near-duplicate groups of labelled photos, and how groups are parted: a side held out, or k folds, by class."""

from collections.abc import Sequence

import numpy as np

AT_ONCE = 512


def joined_groups(labels: np.ndarray, hashes: np.ndarray, colours: np.ndarray, names: Sequence[str],
                  families: Sequence[str], bits: int, near_colour: float) -> np.ndarray:
    """Return the group's number of every photo (n,): near-duplicates of one class, and families, joined transitively.

    Near-duplicates differ by at most `bits` of their difference hashes uint64 (n,) and, since these are grey, by at
    most `near_colour` in the mean of their colours (n, c). Identical bytes (`names`) are joined across classes, too.
    """
    parent = list(range(len(labels)))

    def root(at: int) -> int:
        while parent[at] != at:
            parent[at] = parent[parent[at]]
            at = parent[at]
        return at

    def join(one: int, other: int) -> None:
        low, high = sorted((root(one), root(other)))
        parent[high] = low

    for same in (names, families):
        first: dict[str, int] = {}
        for at, name in enumerate(same):
            if name:
                join(first.setdefault(name, at), at)
    for one, other in near_pairs(labels, hashes, colours, bits, near_colour):
        join(one, other)
    return np.unique([root(at) for at in range(len(labels))], return_inverse=True)[1]


def near_pairs(labels: np.ndarray, hashes: np.ndarray, colours: np.ndarray, bits: int,
               near_colour: float) -> list[tuple[int, int]]:
    """Return the pairs of near-duplicate photos of one class."""
    pairs: list[tuple[int, int]] = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        for start in range(0, len(members), AT_ONCE):
            block = members[start:start + AT_ONCE]
            near = np.bitwise_count(hashes[block][:, None] ^ hashes[members][None, :]) <= bits     # (block, members)
            ours, theirs = np.nonzero(near & (block[:, None] < members[None, :]))
            alike = np.abs(colours[block[ours]] - colours[members[theirs]]).mean(1) <= near_colour
            pairs += zip(block[ours[alike]].tolist(), members[theirs[alike]].tolist(), strict=True)
    return pairs


def hold_out(labels: np.ndarray, groups: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Return which photos (n,) to hold out: whole groups, about `share` of every class that has two groups or more."""
    random = np.random.default_rng(seed)
    held = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        own = labels == label
        order = random.permutation(np.unique(groups[own]))
        wanted = max(1.0, share * own.sum())
        for group in order[:-1]:  # the last is always trained on
            inside = groups == group
            if (held & own).sum() + (inside & own).sum() / 2 <= wanted:
                held |= inside
        if len(order) > 1 and not (held & own).any():  # all are large
            held |= groups == min(order, key=lambda group: int((own & (groups == group)).sum()))
    return held


def folds_of(labels: np.ndarray, groups: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Return the fold's number of every photo (n,): whole groups, every class spread as evenly as they let it.

    Groups go, the largest first and otherwise in an order drawn by the seed, to the fold with fewest of their class.
    """
    random = np.random.default_rng(seed)
    fold = np.full(len(labels), -1)
    counts = np.zeros((folds, int(labels.max()) + 1), dtype=int)
    names, first, sizes = np.unique(groups, return_index=True, return_counts=True)
    order = random.permutation(len(names))
    for at in order[np.argsort(-sizes[order], kind="stable")]:
        label = labels[first[at]]
        place = min(range(folds), key=lambda number: (counts[number, label], counts[number].sum(), number))
        inside = groups == names[at]
        fold[inside] = place
        np.add.at(counts[place], labels[inside], 1)
    return fold


def draw(labels: np.ndarray, groups: np.ndarray, wanted: dict[int, int], seed: int) -> np.ndarray:
    """Return the rows of so many photos of each class, drawn by the seed, of different groups as long as there are."""
    random = np.random.default_rng(seed)
    rows = []
    for label, count in wanted.items():
        order = random.permutation(np.flatnonzero(labels == label))
        again = np.ones(len(order), dtype=bool)
        again[np.unique(groups[order], return_index=True)[1]] = False
        rows.append(order[np.argsort(again, kind="stable")][:count])
    return np.sort(np.concatenate(rows))

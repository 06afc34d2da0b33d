"""Slow, obvious twins of the models of policies: dummy variables, loops over rows, matrices written out."""

import numpy as np
import pandas as pd

TERMS_OF = {
    "nothing": [],
    "stringency": ["stringency"],
    "severity": ["stringency", "severity"],
    "weeks": ["stringency", "severity", "weeks"],
    "log_weeks": ["stringency", "severity", "log_weeks"],
    "exposure": ["stringency", "severity", "exposure"],
    "forgetting": ["stringency", "severity", "forgetting"],
}


def naive_terms(deaths, population, lag_days, half_life_days, smoothing_days=7):
    """Every term of the epidemic on every day of one region, by the definitions, from deaths from the first day on."""
    severity = []
    for day in range(len(deaths)):
        recent = deaths[max(0, day - smoothing_days + 1) : day + 1]
        severity.append(np.log(1 + max(0.0, sum(recent) / smoothing_days * 7 / population * 100_000)))
    keep = 0.5 ** (1 / half_life_days)
    rows = []
    for day in range(len(deaths)):
        told = day - lag_days
        died = [d for d in range(max(told + 1, 0)) if deaths[d] > 0]
        since = told - died[0] if died else 0
        past = [(told - d, severity[d]) for d in range(max(told, 0))]
        rows.append(
            {
                "severity": severity[told] if told >= 0 else 0.0,
                "weeks": since / 70,
                "log_weeks": np.log(1 + since / 7),
                "exposure": sum(s for _, s in past) / 70,
                "forgetting": sum((1 - keep) * keep ** (ago - 1) * s for ago, s in past),
            }
        )
    return pd.DataFrame(rows)


def naive_weeks(changes, drivers, terms, min_days):
    """Region × week: means of the change and the terms over the days on which the change is known."""
    rows = changes.merge(drivers, on=["region_geoid", "date"])
    rows = rows[rows["log_change"].notna()]
    rows["week"] = [date.isocalendar()[:2] for date in rows["date"]]
    found = []
    for (region, week), part in rows.groupby(["region_geoid", "week"]):
        if len(part) >= min_days:
            means = {name: part[name].mean() for name in ["log_change", *terms]}
            found.append({"region": region, "week": week, "cluster": part["cluster"].iloc[0], **means})
    return pd.DataFrame(found)


def dummies(labels, names):
    """A column for each name."""
    return np.array([[float(label == name) for name in names] for label in labels])


def naive_design(weeks, model, effects):
    """Columns of the terms, then a dummy for each region, and for each week but the first."""
    columns = [weeks[TERMS_OF[model]].to_numpy(), dummies(weeks["region"], sorted(set(weeks["region"])))]
    if effects == "region_and_period":
        columns.append(dummies(weeks["week"], sorted(set(weeks["week"]))[1:]))
    return np.column_stack(columns)


def inverse_root(matrix):
    """The symmetric inverse square root, by eigenvalues, of directions that are not lost."""
    values, vectors = np.linalg.eigh(matrix)
    return vectors @ np.diag([1 / np.sqrt(v) if v > 1e-9 else 0.0 for v in values]) @ vectors.T


def naive_fixed(x, y, cluster, n_terms):
    """(coefficients, CR2 variance, degrees of freedom) of the first columns, with matrices of rows by rows."""
    bread = np.linalg.pinv(x.T @ x)
    b = bread @ x.T @ y
    residual = y - x @ b
    hat = x @ bread @ x.T
    rest = np.eye(len(y)) - hat
    meat = np.zeros((x.shape[1],) * 2)
    parts = {}
    for name in sorted(set(cluster)):
        rows = np.flatnonzero(cluster == name)
        adjust = inverse_root(rest[np.ix_(rows, rows)])
        score = x[rows].T @ adjust @ residual[rows]
        meat += np.outer(score, score)
        parts[name] = rest[rows].T @ adjust @ x[rows] @ bread
    freedom = []
    for c in range(n_terms):
        p = np.array([part[:, c] for part in parts.values()])
        freedom.append(np.trace(p @ p.T) ** 2 / np.sum((p @ p.T) ** 2))
    return b[:n_terms], (bread @ meat @ bread)[:n_terms, :n_terms], np.array(freedom)


def naive_links(weeks):
    """The regions that share weeks with each week's regions, or are linked to these by others: {week: regions}."""
    linked = {week: set(weeks.loc[weeks["week"] == week, "region"]) for week in set(weeks["week"])}
    for _ in linked:
        for one in linked:
            for other in linked:
                if linked[one] & linked[other]:
                    linked[one] = linked[one] | linked[other]
    return linked


def naive_left_out_error(weeks, model, effects="region"):
    """Root mean square error, each cluster foretold by the dummy regression of the others and their mean effect."""
    if model == "nothing" and effects == "region":
        return np.sqrt((weeks["log_change"] ** 2).mean())
    squares = []
    for name in sorted(set(weeks["cluster"])):
        fitted, out = weeks[weeks["cluster"] != name], weeks[weeks["cluster"] == name]
        terms = TERMS_OF[model]
        b = np.linalg.lstsq(naive_design(fitted, model, effects), fitted["log_change"].to_numpy(), rcond=None)[0]
        regions, names = sorted(set(fitted["region"])), sorted(set(fitted["week"]))
        effect = dict(zip(regions, b[len(terms) : len(terms) + len(regions)], strict=True))
        of_week = dict.fromkeys(names, 0.0)
        linked = dict.fromkeys(weeks["week"], regions)
        if effects == "region_and_period":
            of_week.update(zip(names[1:], b[len(terms) + len(regions) :], strict=True))
            linked = naive_links(fitted)
        for _, row in out.iterrows():
            if row["week"] in linked:
                level = np.mean([effect[region] for region in linked[row["week"]]]) + of_week.get(row["week"], 0.0)
                squares.append((row["log_change"] - level - row[terms].to_numpy(float) @ b[: len(terms)]) ** 2)
    return np.sqrt(np.mean(squares))


def naive_event_effect(change, event, since, left_out=()):
    """Effect by weeks since the order; `change` by region and week, `event` the week of each region or None."""
    effects = []
    for k in since:
        total = n = 0.0
        for cohort in sorted({e for r, e in event.items() if e is not None and r not in left_out}):
            week = cohort + k
            moved = {
                r: values[week] - values[cohort - 1]
                for r, values in change.items()
                if r not in left_out and 0 <= week < len(values) and 1 <= cohort < len(values)
                if not np.isnan(values[week]) and not np.isnan(values[cohort - 1])
            }
            ordered = [m for r, m in moved.items() if event[r] == cohort]
            controls = [m for r, m in moved.items() if event[r] is None or event[r] > max(week, cohort)]
            if ordered and controls:
                total += sum(m - np.mean(controls) for m in ordered)
                n += len(ordered)
        effects.append(total / n if n else np.nan)
    return np.array(effects)


def naive_event_errors(change, event, cluster, since):
    """Jackknife standard errors: every cluster left out in turn and everything made anew."""
    names = sorted(set(cluster.values()))
    left = []
    for name in names:
        inside = {r for r in change if cluster[r] == name}
        left.append(naive_event_effect(change, event, since, inside))
    left = np.array(left)
    return np.sqrt((len(names) - 1) / len(names) * ((left - left.mean(axis=0)) ** 2).sum(axis=0))

"""The same measures by scikit-learn, scipy and numpy.

usage: metrics_reference.py input.json output.json
"""
import json
import sys

import numpy
import scipy.stats
import sklearn.calibration
import sklearn.linear_model
import sklearn.metrics


def measures(given):
    right = numpy.array(given["classes"])
    p = numpy.array(given["probabilities"])
    predicted = p.argmax(axis=1)
    labels = [0, 1, 2]
    ic = [
        scipy.stats.spearmanr(snapshot["scores"], snapshot["returns"]).statistic for snapshot in given["snapshots"]
    ]
    return {
        "loss": sklearn.metrics.log_loss(right, p, labels=labels),
        "accuracy": sklearn.metrics.accuracy_score(right, predicted),
        "balanced_accuracy": sklearn.metrics.balanced_accuracy_score(right, predicted),
        "f1": sklearn.metrics.f1_score(right, predicted, labels=labels, average="macro", zero_division=0),
        "auc": sklearn.metrics.roc_auc_score(right, p, multi_class="ovr", average="macro", labels=labels),
        "information_coefficient": float(numpy.mean(ic)),
    }


def weighted_area(given):
    """AUC with sample weights, class by class."""
    right = numpy.array(given["classes"])
    p = numpy.array(given["probabilities"])
    weights = numpy.array(given["weights"])
    areas = [sklearn.metrics.roc_auc_score(right == kind, p[:, kind], sample_weight=weights) for kind in range(3)]
    return float(numpy.mean(areas))


def intervals(given):
    """95 % of each measure over the resamples, which are drawn elsewhere: how often each snapshot counts."""
    right = numpy.array(given["classes"])
    p = numpy.array(given["probabilities"])
    predicted = p.argmax(axis=1)
    labels = [0, 1, 2]
    ic = numpy.array(
        [scipy.stats.spearmanr(snapshot["scores"], snapshot["returns"]).statistic for snapshot in given["snapshots"]]
    )
    nodes = len(right) // len(ic)
    rows = []
    for resample in given["resamples"]:
        w = numpy.repeat(resample, nodes)
        rows.append(
            {
                "loss": sklearn.metrics.log_loss(right, p, labels=labels, sample_weight=w),
                "accuracy": sklearn.metrics.accuracy_score(right, predicted, sample_weight=w),
                "balanced_accuracy": sklearn.metrics.balanced_accuracy_score(right, predicted, sample_weight=w),
                "f1": sklearn.metrics.f1_score(
                    right, predicted, labels=labels, average="macro", zero_division=0, sample_weight=w
                ),
                "auc": float(
                    numpy.mean(
                        [sklearn.metrics.roc_auc_score(right == k, p[:, k], sample_weight=w) for k in labels]
                    )
                ),
                "information_coefficient": float(numpy.average(ic, weights=resample)),
            }
        )
    return {
        name: numpy.quantile([row[name] for row in rows], [0.025, 0.975]).tolist() for name in rows[0]
    }


def calibration(given):
    """For each class the points of the curve: predicted, true."""
    right = numpy.array(given["classes"])
    p = numpy.array(given["probabilities"])
    curves = []
    for kind in range(3):
        true, predicted = sklearn.calibration.calibration_curve(right == kind, p[:, kind], n_bins=10)
        curves.append(numpy.column_stack([predicted, true]).tolist())
    return curves


def calibration_error(given):
    """By its definition: bins of equal width, each weighted by its cases."""
    right = numpy.array(given["classes"])
    p = numpy.array(given["probabilities"])
    errors = []
    for kind in range(3):
        place = numpy.searchsorted(numpy.linspace(0, 1, 11)[1:-1], p[:, kind])
        errors.append(
            sum(
                numpy.mean(place == b)
                * abs(numpy.mean(right[place == b] == kind) - numpy.mean(p[place == b, kind]))
                for b in numpy.unique(place)
            )
        )
    return float(numpy.mean(errors))


def main():
    with open(sys.argv[1]) as file:
        given = json.load(file)
    x, y = numpy.array(given["x"]), numpy.array(given["y"])
    rows = numpy.array(given["rows"])
    right = numpy.array(given["rowClasses"])
    weights = numpy.array(given["classWeights"])[right]
    logistic = sklearn.linear_model.LogisticRegression(C=0.5, tol=1e-12, max_iter=100_000, solver="newton-cg")
    logistic.fit(rows, right, sample_weight=weights)
    ridge = sklearn.linear_model.Ridge(alpha=3.0, solver="cholesky").fit(rows, y[: len(rows)])
    result = {
        "measures": measures(given),
        "weightedArea": weighted_area(given),
        "intervals": intervals(given),
        "calibration": calibration(given),
        "calibrationError": calibration_error(given),
        "pearson": scipy.stats.pearsonr(x, y).statistic,
        "spearman": scipy.stats.spearmanr(x, y).statistic,
        "ranks": scipy.stats.rankdata(x).tolist(),
        "quantiles": numpy.quantile(y, [0, 0.025, 1 / 3, 0.5, 0.975, 1]).tolist(),
        "mean": float(numpy.mean(y)),
        "deviation": float(numpy.std(y)),
        "r2": sklearn.metrics.r2_score(y, x),
        "squaredError": sklearn.metrics.mean_squared_error(y, x),
        "logistic": logistic.predict_proba(rows).flatten().tolist(),
        "ridge": ridge.predict(rows).tolist(),
    }
    with open(sys.argv[2], "w") as file:
        json.dump(result, file)


main()

"""How the latents are used, what classifiers find in them, and how well scores detect a digit left out of training.

    codebook/…, latent/…      use of the codes of a codebook, and of the dimensions of a posterior
    probe/<vectors>/linear    accuracy of a logistic regression
    probe/<vectors>/knn       accuracy of the five nearest neighbours
    anomaly/<score>/auroc     probability that an image of the digit left out of training scores higher than one of the
                              others; 0.5 is chance

Both probes predict the digit's class from a latent, and beside it from raw pixels. They are fitted to standardised
vectors of the train split and scored on the evaluated split. For stacked digits each channel's class is predicted
separately, and the accuracy is the mean over channels: chance is 1/10 in both cases.
"""

import warnings

import torch
from torch import Tensor

from aevq.latents import CodeSpec, LatentSet
from aevq.metrics.generate import CHUNK
from aevq.metrics.subject import Subject
from aevq.models import VariationalModel
from aevq.nn.memory import by_chunks
from aevq.ops.quantize import code_counts, perplexity, usage
from aevq.priors import Uniform

ACTIVE = 0.01  # variance of a posterior mean over the data, above which its dimension counts as active
NEIGHBOURS = 5


def codebook(subject: Subject) -> dict[str, float]:
    """Measure the perplexity (1 to K) of a split's codes, and the share of the codebook that occurs."""
    if not isinstance(subject.spec, CodeSpec):
        return {}
    counts = code_counts(subject.z, subject.spec.num_codes)
    return {"codebook/perplexity": float(perplexity(counts)), "codebook/usage": float(usage(counts))}


@torch.inference_mode()
def active_units(subject: Subject) -> dict[str, float]:
    """Measure the KL of each dimension of a posterior, and how many dimensions are active.

    Active are those whose posterior mean varies by more than 0.01 over the data (Burda et al. 2015, arXiv:1509.00519).
    """
    model = subject.model
    if not isinstance(model, VariationalModel):
        return {}
    kl = by_chunks(lambda x: model.kl_per_dimension(x.to(model.device)), subject.x, CHUNK).mean(0)
    several = len(subject.z) > 1  # one image has no variance
    active = {"latent/active_units": float((subject.z.var(0) > ACTIVE).sum())} if several else {}
    return active | {f"latent/kl/{d}": float(nats) for d, nats in enumerate(kl)}


def probe_metrics(name: str, train: Tensor, train_labels: Tensor, x: Tensor, labels: Tensor) -> dict[str, float]:
    """Return the accuracies of both probes, `probe/<name>/linear` and `probe/<name>/knn`, in [0, 1].

    Fitted to vectors `train` `(N, F)` with classes `(N, C)`, one for each channel, and scored on `x` `(M, F)`.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.multioutput import MultiOutputClassifier
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classes = train_labels.numpy()
    linear, knn = MultiOutputClassifier(LogisticRegression(max_iter=200)), KNeighborsClassifier(NEIGHBOURS)
    metrics = {}
    # The neighbours of a vector are searched once for all its classes.
    for kind, probe, target in (("linear", linear, classes), ("knn", knn, classes.squeeze())):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # 200 iterations are the protocol
            fitted = make_pipeline(StandardScaler(), probe).fit(train.numpy(), target)
        found = fitted.predict(x.numpy()).reshape(labels.shape)
        metrics[f"probe/{name}/{kind}"] = float((found == labels.numpy()).mean())
    return metrics


@torch.inference_mode()
def probes(subject: Subject, latents: LatentSet) -> dict[str, float]:
    """Measure both probes on latents and on pixels."""
    seen, digits = subject.data.digits("train"), subject.data.digits(subject.settings.split)
    train, x = (subject.model.embed(z.to(subject.model.device)).cpu() for z in (latents.train, subject.z))
    pixels = probe_metrics("pixels", subject.data.images("train").flatten(1), seen, subject.x.flatten(1), digits)
    return probe_metrics("latent", train, seen, x, digits) | pixels


def anomaly(subject: Subject) -> dict[str, float]:
    """Measure how well errors, ELBO and code lengths detect the digit left out, which only the test split contains."""
    if subject.data.leave_out is None or subject.settings.split != "test":
        return {}
    from sklearn.metrics import roc_auc_score

    scores = {"reconstruction_error": (subject.x_hat - subject.x).square().mean((1, 2, 3))}
    if "kl" in subject.loss_terms:
        scores["elbo"] = subject.loss_terms["distortion"] + subject.loss_terms["kl"]
    for name, nats in subject.code_lengths.items():
        if type(subject.priors[name]) is not Uniform:  # it gives all codes the same length
            scores[f"{name}_code_length"] = nats
    unseen = (subject.labels == subject.data.leave_out).numpy()
    return {f"anomaly/{name}/auroc": float(roc_auc_score(unseen, s.double().numpy())) for name, s in scores.items()}

"""The paper's nets, one idea a file, and models on disk. Public names load on first use."""

from stajax.lazy import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "Classifier": "classifiers",
        "ClassifierConfig": "classifiers",
        "CompanyClassifier": "classifiers",
        "CompanyClassifierConfig": "classifiers",
        "STA": "fixation",
        "STAConfig": "fixation",
        "STAPlus": "fixation",
        "STAPlusConfig": "fixation",
        "AudioSwitch": "switch",
        "SwitchConfig": "switch",
        "Fragments": "fragments",
        "Span": "fragments",
        "Network": "network",
        "NetworkConfig": "network",
        "Structure": "network",
        "fixation_loss": "losses",
    },
)

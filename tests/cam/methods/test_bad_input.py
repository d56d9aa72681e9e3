"""One line that says what was wrong, where, and what to do."""

import jax.numpy as jnp
import numpy as np
import pytest
from nets import images, model

from stajax.cam.methods.ablation import ablation_cam
from stajax.cam.methods.gradient import grad_cam
from stajax.cam.methods.linear import class_activation_map
from stajax.cam.methods.score import is_cam, score_cam
from stajax.cam.methods.smooth import smooth_grad_cam_pp
from stajax.cam.methods.split import Split, gap_linear

DEEP = model("deep")


def call(method, net=DEEP, x=None, target=0, **options):
    return lambda: method(net, images() if x is None else x, target, **options)


@pytest.mark.parametrize(
    ("act", "kind", "words"),
    [
        (call(grad_cam, target=5), ValueError, "target 5; this net has classes 0..4"),
        (call(grad_cam, target=[0, -1]), ValueError, r"target \[0, -1\]; this net has classes 0..4"),
        (call(grad_cam, target=[0, 1, 2]), ValueError, r"target of shape \(3,\) for 2 items; give one class or 2"),
        (call(grad_cam, target=1.0), TypeError, "target of type float64; give class numbers"),
        (call(grad_cam, target=True), TypeError, "target of type bool"),
        (call(grad_cam, target=lambda y: y), ValueError, r"shape \(2, 5\) for logits \(2, 5\); \(2,\) is needed"),
        (call(grad_cam, size=(1, 2, 3)), ValueError, r"size \(1, 2, 3\) for maps of shape \(4, 6\); give 2 lengths"),
        (call(grad_cam, net=Split(DEEP.features, lambda a: a)), ValueError, r"head gives shape \(2, 4, 6, 6\)"),
        (call(grad_cam, net=Split(lambda x: x.mean((1, 2)), DEEP.head)), ValueError, r"features gives shape \(2, 3\)"),
        (call(grad_cam, net=Split(DEEP.features, DEEP.head, jnp.ones((3, 5)))), ValueError, "3 channels on 6 of features"),
        (lambda: gap_linear(DEEP.features, np.ones(3)), ValueError, r"kernel of shape \(3,\); \(channels, classes\)"),
        (call(class_activation_map), ValueError, "make the model with gap_linear, or use grad_cam"),
        (call(class_activation_map, net=model("linear"), target=lambda y: y[:, 0]), TypeError, "not a function"),
        (call(score_cam, chunk=0), ValueError, "1 samples, 0 masks at once"),
        (call(is_cam, samples=0), ValueError, "0 samples, 16 masks at once"),
        (call(ablation_cam, chunk=0), ValueError, "0 channels at once"),
        (call(smooth_grad_cam_pp, key=None, samples=0), ValueError, "0 samples; at least 1"),
        (
            call(score_cam, net=Split(lambda x: jnp.ones((2, 4, 6, 6)), DEEP.head), x=np.ones((2, 3))),
            ValueError,
            r"cannot mask an input of shape \(2, 3\) by activations \(2, 4, 6, 6\)",
        ),
    ],
)
def test_bad_input_is_told_in_one_line(act, kind, words):
    with pytest.raises(kind, match=f"^cam: .*{words}") as caught:
        act()
    assert "\n" not in str(caught.value)

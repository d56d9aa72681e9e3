"""What must hold between methods, for any net, and for random methods by key."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from nets import TARGETS, images, model

from stajax.cam.methods.ablation import ablation_cam
from stajax.cam.methods.eigen import eigen_cam, eigen_grad_cam, first_component
from stajax.cam.methods.family import gradient_family
from stajax.cam.methods.gradient import activations_and_gradients, grad_cam, grad_cam_pp, layer_cam, xgrad_cam
from stajax.cam.methods.linear import class_activation_map
from stajax.cam.methods.maps import unit_range
from stajax.cam.methods.score import is_cam, score_cam, ss_cam
from stajax.cam.methods.smooth import smooth_grad_cam_pp
from stajax.cam.methods.split import Split, gap_linear

KEY = jax.random.key(3)
METHODS = {
    "class_activation_map": class_activation_map,
    "grad_cam": grad_cam,
    "grad_cam_pp": grad_cam_pp,
    "smooth_grad_cam_pp": lambda *a, **k: smooth_grad_cam_pp(*a, key=KEY, samples=2, **k),
    "xgrad_cam": xgrad_cam,
    "layer_cam": layer_cam,
    "eigen_cam": eigen_cam,
    "eigen_grad_cam": eigen_grad_cam,
    "score_cam": score_cam,
    "ss_cam": lambda *a, **k: ss_cam(*a, key=KEY, samples=2, std=0.5, **k),
    "is_cam": lambda *a, **k: is_cam(*a, samples=2, **k),
    "ablation_cam": ablation_cam,
}


def close(ours, reference, tolerance=1e-5):
    np.testing.assert_allclose(ours, reference, rtol=0, atol=tolerance * np.abs(reference).max())


@pytest.mark.parametrize("shape", [(7, 9), (3, 5, 4), (11,)])
def test_on_mean_and_linear_heads_grad_cam_is_xgrad_cam_is_cam_over_the_number_of_places(shape):
    rng = np.random.default_rng(0)
    activations = np.maximum(rng.normal(size=(3, *shape, 8)), 0).astype(np.float32)
    activations[0, ..., 2] = 0  # a channel that is off: XGrad-CAM divides by its sum
    net = gap_linear(lambda a: a, rng.normal(size=(8, 4)).astype(np.float32), rng.normal(size=4).astype(np.float32))
    cam = np.asarray(class_activation_map(net, activations, [1, 0, 3])) / np.prod(shape)
    assert (cam > 0).any() and (cam == 0).any()
    close(grad_cam(net, activations, [1, 0, 3]), cam)
    close(xgrad_cam(net, activations, [1, 0, 3]), cam)


def test_the_mean_of_cam_plus_the_bias_is_the_logit():
    net, targets = model("linear"), np.array(TARGETS)
    bias = net.head(jnp.zeros((1, 4, 6, 6)))[0, targets]
    signed = class_activation_map(net, images(), targets, relu=False)
    close(signed.mean((1, 2)) + bias, net.logits(images())[np.arange(2), targets])


def test_layer_cam_is_nowhere_negative_even_without_relu():
    assert layer_cam(model("deep"), images(), TARGETS, relu=False).min() >= 0


@pytest.mark.parametrize("name", ["score_cam", "ss_cam", "is_cam"])
def test_score_methods_of_one_channel_are_that_channel(name):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2, 6, 9, 1)).astype(np.float32)
    net = Split(lambda x: x[:, ::3, ::3], lambda a: a.mean((1, 2)) * jnp.ones(2))
    close(METHODS[name](net, x, 0), np.maximum(x[:, ::3, ::3, 0], 0))


def test_the_closed_form_of_ablation_cam_equals_leaving_each_channel_out():
    closed = model("linear")
    brute = Split(closed.features, closed.head)
    for target in (TARGETS, lambda logits: jax.nn.softmax(logits / 20)[:, 2]):
        close(ablation_cam(closed, images(), target, relu=False), ablation_cam(brute, images(), target, relu=False))


def test_the_closed_form_of_ablation_cam_never_calls_the_head_again():
    net, calls = model("linear"), []
    counting = Split(net.features, lambda a: calls.append(0) or net.head(a), net.kernel)
    ablation_cam(counting, images(), TARGETS)
    assert len(calls) == 1


def test_the_gradient_family_is_each_method_alone_from_one_forward_pass():
    net, calls = model("deep"), {"features": 0, "head": 0}

    def count(name, function):
        def counted(value):
            calls[name] += 1
            return function(value)

        return counted

    found = gradient_family(Split(count("features", net.features), count("head", net.head)), images(), TARGETS)
    assert calls == {"features": 1, "head": 1}
    assert list(found) == ["grad_cam", "grad_cam_pp", "xgrad_cam", "layer_cam", "eigen_cam", "eigen_grad_cam"]
    for name, maps in found.items():
        close(maps, METHODS[name](net, images(), TARGETS))


def test_smooth_grad_cam_pp_without_noise_is_grad_cam_pp():
    maps = smooth_grad_cam_pp(model("deep"), images(), TARGETS, key=KEY, samples=3, std=0)
    close(maps, grad_cam_pp(model("deep"), images(), TARGETS))


def test_ss_cam_without_noise_and_is_cam_of_one_step_are_score_cam():
    expected = score_cam(model("deep"), images(), TARGETS)
    close(ss_cam(model("deep"), images(), TARGETS, key=KEY, samples=2, std=0), expected)
    close(is_cam(model("deep"), images(), TARGETS, samples=1), expected)


@pytest.mark.parametrize("name", ["ss_cam", "smooth_grad_cam_pp"])
def test_random_methods_are_reproducible_by_key_and_differ_between_keys(name):
    method = {"ss_cam": ss_cam, "smooth_grad_cam_pp": smooth_grad_cam_pp}[name]
    maps = jax.jit(lambda key: method(model("deep"), images(), TARGETS, key=key, samples=2))
    first, same, other = (maps(jax.random.key(k)) for k in (0, 0, 1))
    np.testing.assert_array_equal(first, same)
    assert np.abs(first - other).max() > 1e-3 * first.max()


def test_smooth_grad_cam_pp_averages_the_powers_of_explicit_gradients():
    net, x = model("deep"), images()
    noise = [0.3 * jax.random.normal(jax.random.fold_in(KEY, i), x.shape) for i in range(3)]
    gradients = [activations_and_gradients(net, x + n, TARGETS)[1] for n in noise]
    d1, d2, d3 = (sum(g**p for g in gradients) / 3 for p in (1, 2, 3))
    a = net.features(x)
    weights = (d2 / (2 * d2 + a.sum((1, 2), keepdims=True) * d3) * jax.nn.relu(d1)).sum((1, 2))
    maps = smooth_grad_cam_pp(net, x, TARGETS, key=KEY, samples=3)
    # One of the 148 denominators that count is nearly zero: D3 need not have the sign of D1.
    close(maps, jax.nn.relu((a * weights[:, None, None]).sum(-1)), 2e-4)


def test_chunks_change_memory_not_maps():
    for method in (score_cam, ablation_cam):
        close(method(model("deep"), images(), TARGETS, chunk=5), method(model("deep"), images(), TARGETS, chunk=100))


@pytest.mark.parametrize("name", METHODS)
def test_every_method_treats_the_items_of_a_batch_alone_and_works_under_jit_and_vmap(name):
    net, method = model("linear"), METHODS[name]
    together = method(net, images(), TARGETS, normalise=True)
    if name not in ("ss_cam", "smooth_grad_cam_pp"):  # their noise depends on the shape of the batch
        alone = [method(net, images()[i : i + 1], TARGETS[i], normalise=True)[0] for i in range(2)]
        close(together, np.stack(alone))
        mapped = jax.jit(jax.vmap(lambda x, t: method(net, x[None], t, normalise=True)[0]))
        close(mapped(images(), jnp.array(TARGETS)), together)
    compiled = jax.jit(lambda x, t: method(net, x, t, normalise=True))(images(), jnp.array(TARGETS))
    close(compiled, together)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_takes_video_and_gives_maps_of_any_size_in_range(name):
    rng = np.random.default_rng(5)
    x, kernel = rng.normal(size=(2, 4, 6, 4, 3)).astype(np.float32), rng.normal(size=(3, 5, 4)).astype(np.float32)
    net = gap_linear(lambda x: jax.nn.relu(x[:, ::2, ::2, ::2] @ kernel[:, :, 0]), kernel[0])
    raw, maps = METHODS[name](net, x, 1), METHODS[name](net, x, 1, normalise=True, size=(8, 9, 10))
    assert raw.shape == (2, 2, 3, 2) and raw.dtype == jnp.float32 and (raw.min() >= 0).all()
    assert maps.shape == (2, 8, 9, 10)
    np.testing.assert_allclose(maps.min((1, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(maps.max((1, 2, 3)), 1, atol=1e-6)


@pytest.mark.parametrize("name", METHODS)
def test_activations_that_are_alike_everywhere_give_zeros_and_no_nan(name):
    """The first item's are zero."""
    kernel = jnp.array([[1.0, 2], [-1, 0.5], [3, 1]])
    net = gap_linear(lambda x: jnp.full((2, 4, 5, 3), 0.7) * jnp.array([0, 1]).reshape(2, 1, 1, 1), kernel)
    maps = METHODS[name](net, jnp.ones((2, 8, 10, 1)), 0, normalise=True, size=(8, 10))
    np.testing.assert_array_equal(maps, np.zeros((2, 8, 10)))


def test_the_unit_range_of_a_constant_with_rounding_is_zero_and_keeps_tiny_maps():
    third = np.float32(1) / 3
    nearly = np.full((1, 2, 2), third)
    nearly[0, 0, 0] = np.nextafter(third, np.float32(1))
    np.testing.assert_array_equal(unit_range(jnp.asarray(nearly)), np.zeros((1, 2, 2)))
    tiny = jnp.array([[[0, 1e-30], [2e-30, 4e-30]]], jnp.float32)
    np.testing.assert_allclose(unit_range(tiny), [[[0, 0.25], [0.5, 1]]], rtol=1e-6)


@pytest.mark.parametrize("shape", [(2, 5, 6, 40), (2, 5, 6, 4)])
@pytest.mark.parametrize("scale", [1, 1e-25])
def test_the_first_component_is_signed_by_its_largest_value_and_scales_with_the_input(shape, scale):
    """Both Gram matrices, and values whose squares are no float32."""
    values = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    for ours, item in zip(first_component(jnp.asarray(values * np.float32(scale))), values, strict=True):
        rows = item.reshape(-1, shape[-1]).astype(np.float64)
        rows -= rows.mean(0)
        expected = rows @ np.linalg.svd(rows, full_matrices=False)[2][0]
        expected *= np.sign(expected[np.abs(expected).argmax()])
        close(np.asarray(ours, np.float64).ravel() / scale, expected, 1e-4)


@pytest.mark.parametrize("name", ["class_activation_map", "grad_cam", "smooth_grad_cam_pp", "score_cam", "ablation_cam"])
def test_the_likeliest_class_is_meant_where_no_target_is_given(name):
    net = model("linear")
    best = np.asarray(net.logits(images())).argmax(1)
    np.testing.assert_array_equal(METHODS[name](net, images()), METHODS[name](net, images(), best))


@pytest.mark.parametrize("name", ["grad_cam", "smooth_grad_cam_pp", "score_cam", "ablation_cam"])
def test_a_function_of_the_logits_that_picks_a_class_equals_that_class(name):
    net = model("deep")
    np.testing.assert_array_equal(METHODS[name](net, images(), lambda logits: logits[:, 3]), METHODS[name](net, images(), 3))


@pytest.mark.parametrize("name", ["grad_cam", "smooth_grad_cam_pp", "score_cam", "ablation_cam"])
def test_a_second_input_may_be_closed_over_or_come_with_the_activations(name):
    """Sound beside pictures: both ways give the same maps, the masking methods included."""
    sound = np.random.default_rng(4).normal(size=(2, 6)).astype(np.float32)
    net = model("deep")
    closed = Split(net.features, lambda a: net.head(a * sound[:, None, None]))
    given = Split(lambda x: (net.features(x), sound), lambda a, s: net.head(a * s[:, None, None]))
    maps = METHODS[name](given, images(), TARGETS)
    np.testing.assert_array_equal(maps, METHODS[name](closed, images(), TARGETS))
    assert np.abs(maps - METHODS[name](net, images(), TARGETS)).max() > 0.01

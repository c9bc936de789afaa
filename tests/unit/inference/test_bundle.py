import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from inference.bundle import BundleError, load
from inference.onnx_wire import NotOnnx, operators
from schemas.manifest import FileSpec, GraphSpec, Manifest
from tests.tiny_bundle import write_graph, write_manifest

Fields = dict[str, Any]


def fields_of(folder: Path) -> Fields:
    """The manifest as plain JSON, to be broken."""
    found: Fields = json.loads((folder / "manifest.json").read_bytes())
    return found


def edited(folder: Path, edit: Callable[[Fields], object]) -> None:
    """The manifest after `edit`."""
    fields = fields_of(folder)
    edit(fields)
    (folder / "manifest.json").write_text(json.dumps(fields))


def manifest_of(folder: Path) -> Manifest:
    """The manifest as values."""
    return msgspec.json.decode((folder / "manifest.json").read_bytes(), type=Manifest)


def refusal(folder: Path) -> str:
    """What `load` says of a bundle that it refuses."""
    with pytest.raises(BundleError) as refused:
        load(folder)
    assert str(refused.value).startswith(str(folder))
    assert refused.value.remedy
    return str(refused.value)


def test_a_bundle_is_loaded(folder: Path) -> None:
    """Manifest, graphs and vectorisers are as they were written."""
    bundle = load(folder)
    assert bundle.manifest == manifest_of(folder)
    assert sorted(bundle.graphs) == ["fusion", "image", "text"]
    assert [vectoriser.block.name for vectoriser in bundle.vectorisers] == ["words"]


@pytest.mark.parametrize("name", ["manifest.json", "text.onnx", "words.vocabulary.json"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    """With what to do."""
    (folder / name).unlink()
    assert f"{name}: cannot be read: No such file" in refusal(folder)


@pytest.mark.parametrize(
    "name", ["text.onnx", "image.onnx", "fusion.onnx", "words.vocabulary.json"]
)
def test_one_changed_byte_is_refused(folder: Path, name: str) -> None:
    """The hash is of every file."""
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    assert f"{name}: the sha256 is not the manifest's" in refusal(folder)


def test_another_length_is_refused_unread(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that has grown without end would not fit into memory."""
    with (folder / "text.onnx").open("ab") as file:
        file.write(b"x")
    read: list[str] = []
    read_bytes = Path.read_bytes

    def watched(self: Path) -> bytes:
        read.append(self.name)
        return read_bytes(self)

    monkeypatch.setattr(Path, "read_bytes", watched)
    assert "bytes, and the manifest says" in refusal(folder)
    assert "text.onnx" not in read


def test_a_manifest_that_is_no_json_is_refused(folder: Path) -> None:
    """Half a manifest is none."""
    content = (folder / "manifest.json").read_bytes()
    (folder / "manifest.json").write_bytes(content[: len(content) // 2])
    assert "is no manifest" in refusal(folder)


def test_an_enormous_manifest_is_refused_unread(folder: Path) -> None:
    """Nothing that large was ever written."""
    with (folder / "manifest.json").open("wb") as file:
        file.truncate(17 << 20)
    assert "larger than 16 MiB" in refusal(folder)


@pytest.mark.parametrize(
    ("field", "name"), [("contract", "contract version"), ("feature_version", "feature version")]
)
def test_another_version_is_refused_before_all_else(folder: Path, field: str, name: str) -> None:
    """Even where the newer manifest has fields that are not known."""
    edited(folder, lambda fields: fields.update({field: 99, "new_field": 1}))
    assert f"{name} is 99" in refusal(folder)


@pytest.mark.parametrize("place", [(), ("graphs", "text"), ("text", 0), ("image",)])
def test_an_unknown_field_is_refused(folder: Path, place: tuple[str | int, ...]) -> None:
    """On any level."""

    def edit(fields: Any) -> None:
        for step in place:
            fields = fields[step]
        fields["surprise"] = 1

    edited(folder, edit)
    assert "surprise" in refusal(folder)


@pytest.mark.parametrize("path", ["../other.onnx", "/etc/passwd", "a/../../b", "..\\other"])
def test_a_path_that_leaves_the_bundle_is_refused(folder: Path, path: str) -> None:
    """Whether or not there is a file."""
    (folder.parent / "other.onnx").write_bytes(b"")
    edited(folder, lambda fields: fields["graphs"]["text"]["file"].update(path=path))
    assert "leaves the bundle" in refusal(folder)


def test_a_link_that_leaves_the_bundle_is_refused(folder: Path) -> None:
    """The file that counts is the one that the link leads to."""
    outside = folder.parent / "outside.onnx"
    (folder / "text.onnx").rename(outside)
    (folder / "text.onnx").symlink_to(outside)
    assert "leaves the bundle" in refusal(folder)


@pytest.mark.parametrize(
    ("graph", "side", "tensor", "change", "said"),
    [
        ("text", "outputs", "text.scores", {"shape": ["N", 4]}, "'text.scores' is"),
        ("text", "inputs", "words.counts", {"shape": ["N", 7]}, "'words.counts' is"),
        ("text", "inputs", "words.ids", {"dtype": "tensor(float)"}, "must be tensor(int64)"),
        ("image", "inputs", "pixels", {"shape": ["N", 9, 8, 3]}, "must be tensor(uint8)"),
        ("image", "inputs", "pixels", {"dtype": "tensor(float)"}, "must be tensor(uint8)"),
        ("image", "outputs", "image.scores", {"shape": ["N", "K"]}, "its width known"),
        ("fusion", "outputs", "scores", {"shape": ["N", 2]}, "'scores' is"),
        ("fusion", "inputs", "present", {"shape": ["N", 3]}, "'present' is"),
        ("fusion", "inputs", "text.scores", {"shape": ["N", 9]}, "'text.scores' is"),
    ],
)
def test_a_wrong_shape_or_type_is_refused(
    folder: Path, graph: str, side: str, tensor: str, change: Fields, said: str
) -> None:
    """Against what the manifest says elsewhere, or between graphs."""
    edited(folder, lambda fields: fields["graphs"][graph][side][tensor].update(change))
    assert said in refusal(folder)


def test_a_graph_that_is_not_what_the_manifest_says_is_refused(folder: Path) -> None:
    """Though the manifest fits itself."""

    def edit(fields: Fields) -> None:
        fields["graphs"]["text"]["outputs"]["text.scores"]["shape"] = ["N", 4]
        fields["graphs"]["fusion"]["inputs"]["text.scores"]["shape"] = ["N", 4]

    edited(folder, edit)
    assert "fusion.onnx: fusion input 'text.scores' is tensor(float) ['N', 3]" in refusal(folder)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda f: f["graphs"].pop("fusion"), "needs ['fusion', 'image', 'text']"),
        (lambda f: f.update(modalities=["text"]), "image input and the modality image"),
        (lambda f: f.update(modalities=[]), "modalities [] must be"),
        (lambda f: f.update(modalities=["text", "text"]), "modalities ['text', 'text'] must be"),
        (lambda f: f.update(labels=["a", "a", "b"]), "must be two or more"),
        (lambda f: f.update(labels=["a", "b"]), "must be tensor(float) ['free', 2]"),
        (lambda f: f.update(text=[]), "text blocks and the modality text"),
        (lambda f: f.update(text=f["text"] * 2), "two text blocks have one name"),
        (lambda f: f.update(image=None), "image input and the modality image"),
        (lambda f: f["text"][0].update(name="other"), "the text graph takes"),
        (lambda f: f["text"][0].update(ngrams=[0, 1]), "ngrams"),
        (lambda f: f["text"][0].update(vocabulary=None), "name a vocabulary or hashing"),
        (lambda f: f["text"][0].update(hashing={"columns": 6}), "name a vocabulary or hashing"),
        (lambda f: hash_into(f, 2**20 + 1), "hashing has 1,048,577 columns"),
        (lambda f: hash_into(f, 7), "text.onnx: cannot be run"),
        (
            lambda f: hash_into(f, 6).update(tokens={"block": "words", "length": 4}),
            "tokens are of the block 'words', which has no vocabulary",
        ),
        (
            lambda f: f["text"][0].update(analyzer="pattern", token_pattern="(a+)+"),
            "token_pattern",
        ),
        (lambda f: f["graphs"]["text"].update(opset=17), "opset 17"),
        (lambda f: f["graphs"]["text"].update(domains=["", "ai.onnx.ml"]), "operator sets"),
    ],
)
def test_parts_that_do_not_fit_are_refused(
    folder: Path, edit: Callable[[Fields], object], said: str
) -> None:
    """Each named by what does not fit."""
    edited(folder, edit)
    assert said in refusal(folder)


def hash_into(fields: Fields, columns: int) -> Fields:
    """The same, its block without a vocabulary."""
    fields["text"][0].update(vocabulary=None, hashing={"columns": columns})
    return fields


def test_a_block_that_hashes_needs_no_vocabulary(folder: Path) -> None:
    """Its table has as many rows as it has columns, and the pad's."""
    edited(folder, lambda fields: hash_into(fields, 6))
    (folder / "words.vocabulary.json").unlink()
    [vectoriser] = load(folder).vectorisers
    assert vectoriser.pad == 6
    assert vectoriser.counts(["房间 房间"]).lengths.tolist() == [1]


def replaced_graph(folder: Path, model: onnx.ModelProto, name: str = "text") -> None:
    """Another graph, its hash and size in the manifest."""
    content = model.SerializeToString()
    (folder / f"{name}.onnx").write_bytes(content)
    fields = fields_of(folder)
    spec = fields["graphs"][name]
    spec["file"].update(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
    (folder / "manifest.json").write_text(json.dumps(fields))


def text_model(folder: Path) -> onnx.ModelProto:
    """The tiny bundle's text graph."""
    return onnx.load_from_string((folder / "text.onnx").read_bytes())


def test_a_foreign_operator_domain_is_refused(folder: Path) -> None:
    """Also where no node uses it."""
    model = text_model(folder)
    model.opset_import.append(helper.make_opsetid("com.evil", 1))
    replaced_graph(folder, model)
    assert "uses the operator domains ['com.evil']" in refusal(folder)


def test_functions_of_its_own_are_refused(folder: Path) -> None:
    """A local function could hide what a node does."""
    model = text_model(folder)
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    opsets = [helper.make_opsetid("", 18)]
    model.functions.append(helper.make_function("", "mine", ["x"], ["y"], nodes, opsets))
    replaced_graph(folder, model)
    assert "functions of its own" in refusal(folder)


def test_weights_outside_of_the_graph_are_refused(folder: Path) -> None:
    """A graph is its bytes: ONNX Runtime reads no other file for it."""
    model = text_model(folder)
    weights = model.graph.initializer[0]
    (folder / "secret.bin").write_bytes(weights.raw_data)
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="secret.bin")
    replaced_graph(folder, model)
    assert "ONNX Runtime refuses it" in refusal(folder)


def test_an_operator_that_does_not_exist_is_refused(folder: Path) -> None:
    """When the session is made, not at the first post."""
    model = text_model(folder)
    model.graph.node[0].op_type = "NoSuchOperator"
    replaced_graph(folder, model)
    assert "ONNX Runtime refuses it" in refusal(folder)


def test_a_file_that_is_no_graph_is_refused(folder: Path) -> None:
    """Whatever its hash says."""
    (folder / "text.onnx").write_bytes(b"no graph at all")
    digest = hashlib.sha256(b"no graph at all").hexdigest()
    edited(folder, lambda f: f["graphs"]["text"]["file"].update(sha256=digest, bytes=15))
    assert "is no ONNX model" in refusal(folder)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b'["a", "a"]', "names a term twice"), (b'{"a": 1}', "no JSON list"), (b"[", "no JSON list")],
)
def test_a_vocabulary_that_is_none_is_refused(folder: Path, content: bytes, said: str) -> None:
    """Terms must be strings, each once."""
    (folder / "words.vocabulary.json").write_bytes(content)
    spec = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    edited(folder, lambda fields: fields["text"][0]["vocabulary"].update(spec))
    assert said in refusal(folder)


def test_a_graph_of_another_table_than_its_vocabulary_is_refused(folder: Path) -> None:
    """Its last row is the pad's, so an id of the vocabulary's would lie outside of it."""
    model = text_model(folder)
    held = next(weight for weight in model.graph.initializer if weight.name == "weights")
    shorter = numpy_helper.to_array(held)[:-1]
    held.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(shorter), "weights"))
    replaced_graph(folder, model)
    assert "text.onnx: cannot be run" in refusal(folder)


def test_user_words_reach_the_cutter(folder: Path) -> None:
    """They are a file of the bundle, hashed as the others."""
    content = b'["\xe5\xbe\x88\xe5\xa5\xbd\xe5\x90\x83\xe5\x90\x97"]'
    (folder / "user_words.json").write_bytes(content)
    spec = FileSpec("user_words.json", hashlib.sha256(content).hexdigest(), len(content))
    manifest = manifest_of(folder)
    block = msgspec.structs.replace(manifest.text[0], user_words=spec)
    write_manifest(folder, msgspec.structs.replace(manifest, text=(block,)))
    assert load(folder).vectorisers[0].tokens("很好吃吗") == ["很好吃吗"]


def test_operators_are_what_onnx_itself_reads(folder: Path) -> None:
    """The wire format read by hand, against the package `onnx`."""
    for name in ("text", "image", "fusion"):
        content = (folder / f"{name}.onnx").read_bytes()
        model = onnx.load_from_string(content)
        expected = {opset.domain: opset.version for opset in model.opset_import}
        assert operators(content).opsets == expected
        assert operators(content).has_functions is False


@pytest.mark.parametrize(
    "content", [b"", b"\xff", b"\x3a\x7f", b"\x07", b"hello world", b"\x42\x00"]
)
def test_bytes_that_are_no_model_are_told(content: bytes) -> None:
    """Never another exception, and never without an end."""
    try:
        found = operators(content)
    except NotOnnx:
        return
    assert found.opsets == {"": 0}


def test_graph_specs_come_from_the_graphs(folder: Path) -> None:
    """What the test's own writer says is what the manifest holds."""
    spec = write_graph(folder, "text.onnx", text_model(folder))
    assert isinstance(spec, GraphSpec)
    assert spec == manifest_of(folder).graphs["text"]


def test_serving_imports_nothing_of_training(folder: Path) -> None:
    """A fresh process that loads and classifies knows no TensorFlow, scikit-learn or jieba."""
    program = (
        "import sys; from pathlib import Path; from inference.bundle import load\n"
        "from inference.classifier import Classifier\n"
        f"classifier = Classifier(load(Path({str(folder)!r})))\n"
        "print(classifier.classify(['很好'], [None]).scores.argmax())\n"
        "heavy = {'tensorflow', 'keras', 'sklearn', 'jieba', 'scipy', 'onnx', 'skl2onnx'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        env={**os.environ, "PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == "0\n[]\n"
    assert done.stderr == ""

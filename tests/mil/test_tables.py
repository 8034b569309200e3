"""Models of tables: what they give is held against scikit-learn, whose models coremltools converts to these, SciPy and NumPy."""

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.feature_extraction import DictVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import Normalizer, OneHotEncoder, StandardScaler

from fcrn_mobile.mil import MilError, Program
from fcrn_mobile.quiet import quiet_coremltools
from tests.mil.specifications import feature, model, pipeline, saved

with quiet_coremltools():
    from coremltools.models import datatypes
    from coremltools.models.array_feature_extractor import create_array_feature_extractor
    from coremltools.models.feature_vectorizer import create_feature_vectorizer

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
VECTOR = ("DOUBLE", [4])


def run(made: Any, folder: Any, **inputs: Any) -> dict[str, Any]:
    return Program.load(saved(made, folder)).predict(inputs)


def glm(kind: str, outputs: dict[str, Any], weights: Any, offset: Any, inputs: dict[str, Any] | None = None) -> Any:
    made = model(kind, inputs or {"x": VECTOR}, outputs)
    made.description.predictedFeatureName = next(iter(outputs))
    part = getattr(made, kind)
    for row in np.atleast_2d(weights):
        part.weights.add().value.extend(row)
    part.offset.extend(np.atleast_1d(offset))
    return made


def classifier(weights: Any, offset: Any, classes: list[Any], encoding: str, transform: str = "Logit") -> Any:
    key = "string" if isinstance(classes[0], str) else "int64"
    made = glm("glmClassifier", {"label": key, "scores": f"dictionary of {key}"}, weights, offset)
    made.description.predictedProbabilitiesName = "scores"
    part = made.glmClassifier
    (part.stringClassLabels if key == "string" else part.int64ClassLabels).vector.extend(classes)
    part.classEncoding = part.ClassEncoding.Value(encoding)
    part.postEvaluationTransform = part.PostEvaluationTransform.Value(transform)
    return made


def check_classifier(made: Any, folder: Any, probabilities: np.ndarray, classes: list[Any]) -> None:
    program = Program.load(saved(made, folder))
    for row, expected in zip(X, probabilities, strict=True):
        result = program.predict({"x": row})
        assert list(result["scores"]) == classes
        np.testing.assert_allclose(list(result["scores"].values()), expected, rtol=1e-6, atol=1e-12)
        assert result["label"] == classes[int(expected.argmax())]


def test_linear_regressions(tmp_path) -> None:
    y = X @ [1.0, -2, 3, 0.5] + RNG.normal(size=60)
    fitted = LinearRegression().fit(X, y)
    made = glm("glmRegressor", {"y": "double"}, fitted.coef_, fitted.intercept_)
    result = run(made, tmp_path, x=X[0])["y"]
    assert isinstance(result, float)
    assert result == pytest.approx(fitted.predict(X[:1])[0], rel=1e-6)
    made.glmRegressor.postEvaluationTransform = made.glmRegressor.Logit
    assert run(made, tmp_path, x=X[0])["y"] == pytest.approx(1 / (1 + np.exp(-fitted.predict(X[:1])[0])), rel=1e-6)
    made.glmRegressor.postEvaluationTransform = made.glmRegressor.Probit
    assert run(made, tmp_path, x=X[0])["y"] == pytest.approx(norm.cdf(fitted.predict(X[:1])[0]), rel=1e-6)


def test_inputs_of_a_linear_model_stand_in_the_order_of_the_description(tmp_path) -> None:
    inputs = {"b": "double", "a": "int64", "c": ("FLOAT32", [2])}
    made = glm("glmRegressor", {"y": "double"}, [1.0, 10, 100, 1000], 0.5, inputs)
    assert run(made, tmp_path, a=2, b=1.0, c=np.float32([3, 4]))["y"] == 4321.5


def test_a_regression_of_several_rows_is_an_array(tmp_path) -> None:
    made = glm("glmRegressor", {"y": ("DOUBLE", [2])}, [[1.0, 0, 0, 0], [0, 1.0, 0, 0]], [1.0, 2])
    np.testing.assert_allclose(run(made, tmp_path, x=X[0])["y"], X[0, :2] + [1, 2], rtol=1e-6)


def test_two_classes(tmp_path) -> None:
    fitted = LogisticRegression().fit(X, X[:, 0] > 0)
    for encoding in ("ReferenceClass", "OneVsRest"):
        made = classifier(fitted.coef_, fitted.intercept_, ["no", "yes"], encoding)
        check_classifier(made, tmp_path, fitted.predict_proba(X), ["no", "yes"])
    second = norm.cdf(X @ fitted.coef_[0] + fitted.intercept_[0])
    made = classifier(fitted.coef_, fitted.intercept_, [7, 3], "ReferenceClass", "Probit")
    check_classifier(made, tmp_path, np.stack([1 - second, second], 1), [7, 3])


def test_one_against_the_rest(tmp_path) -> None:
    y = np.digitize(X[:, 0] + X[:, 1], [-0.5, 0.5])
    fitted = OneVsRestClassifier(LogisticRegression()).fit(X, y)
    weights = np.concatenate([each.coef_ for each in fitted.estimators_])
    offset = np.concatenate([each.intercept_ for each in fitted.estimators_])
    check_classifier(classifier(weights, offset, [10, 11, 12], "OneVsRest"), tmp_path, fitted.predict_proba(X), [10, 11, 12])


def test_classes_against_the_first(tmp_path) -> None:
    y = np.digitize(X[:, 0] + X[:, 1], [-0.5, 0.5])
    fitted = LogisticRegression().fit(X, y)
    weights, offset = fitted.coef_[1:] - fitted.coef_[0], fitted.intercept_[1:] - fitted.intercept_[0]
    check_classifier(classifier(weights, offset, ["a", "b", "c"], "ReferenceClass"), tmp_path, fitted.predict_proba(X), ["a", "b", "c"])


def scaler(shift: Any, scale: Any, given: Any = VECTOR, result: Any = VECTOR) -> Any:
    made = model("scaler", {"x": given}, {"y": result})
    made.scaler.shiftValue.extend(shift)
    made.scaler.scaleValue.extend(scale)
    return made


def test_scaling(tmp_path) -> None:
    fitted = StandardScaler().fit(X)
    np.testing.assert_allclose(run(scaler(-fitted.mean_, 1 / fitted.scale_), tmp_path, x=X[3])["y"], fitted.transform(X)[3], rtol=1e-6)
    assert run(scaler([1], [], ("DOUBLE", [2]), ("DOUBLE", [2])), tmp_path, x=[1.0, 2])["y"].tolist() == [2, 3]
    assert run(scaler([], [2], "double", "double"), tmp_path, x=1.5)["y"] == 3.0
    assert run(scaler([1], [2], "int64", "double"), tmp_path, x=1)["y"] == 4.0
    whole = run(scaler([1], [2], "int64", "int64"), tmp_path, x=1)["y"]
    assert (whole, type(whole)) == (4, int)
    assert run(scaler([1], [2], ("INT32", [2]), ("INT32", [2])), tmp_path, x=[1, 2])["y"].tolist() == [4, 6]
    with pytest.raises(MilError, match=r"\[0\.5\] are not whole numbers"):
        run(scaler([], [0.5], "int64", "int64"), tmp_path, x=1)


@pytest.mark.parametrize(("norm_type", "name"), [("LMax", "max"), ("L1", "l1"), ("L2", "l2")])
def test_normalizing(norm_type: str, name: str, tmp_path) -> None:
    made = model("normalizer", {"x": VECTOR}, {"y": VECTOR})
    made.normalizer.normType = made.normalizer.NormType.Value(norm_type)
    x = np.abs(X[:5]) if norm_type == "LMax" else X[:5]  # the largest element, as documented; scikit-learn takes the largest magnitude
    for row, expected in zip(x, Normalizer(name).fit_transform(x), strict=True):
        np.testing.assert_allclose(run(made, tmp_path, x=row)["y"], expected, rtol=1e-6)
    assert run(made, tmp_path, x=np.zeros(4))["y"].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("missing", [np.nan, -1.0, None])
def test_imputing(missing: float | None, tmp_path) -> None:
    x = X.copy()
    x[::3, 1] = x[::2, 2] = np.nan if missing is None else missing
    fitted = SimpleImputer(missing_values=np.nan if missing is None else missing).fit(x)
    made = model("imputer", {"x": VECTOR}, {"y": VECTOR})
    made.imputer.imputedDoubleArray.vector.extend(fitted.statistics_)
    if missing is not None:
        made.imputer.replaceDoubleValue = missing
    program = Program.load(saved(made, tmp_path))
    for row, expected in zip(x, fitted.transform(x), strict=True):
        np.testing.assert_allclose(program.predict({"x": row})["y"], expected, rtol=1e-6)


def test_imputing_single_values(tmp_path) -> None:
    made = model("imputer", {"x": "double"}, {"y": "double"})
    made.imputer.imputedDoubleValue = 2.5
    assert [run(made, tmp_path, x=value)["y"] for value in (np.nan, 1.0)] == [2.5, 1.0]
    made = model("imputer", {"x": "int64"}, {"y": "int64"})
    made.imputer.imputedInt64Value, made.imputer.replaceInt64Value = 5, -1
    assert [run(made, tmp_path, x=value)["y"] for value in (-1, 3)] == [5, 3]
    made = model("imputer", {"x": "string"}, {"y": "string"})
    made.imputer.imputedStringValue, made.imputer.replaceStringValue = "none", "?"
    assert [run(made, tmp_path, x=value)["y"] for value in ("?", "a")] == ["none", "a"]
    made = model("imputer", {"x": ("INT32", [3])}, {"y": ("INT32", [3])})
    made.imputer.imputedInt64Array.vector.extend([7, 8, 9])
    made.imputer.replaceInt64Value = 0
    assert run(made, tmp_path, x=[0, 1, 0])["y"].tolist() == [7, 1, 9]


def test_one_value_is_imputed_everywhere(tmp_path) -> None:
    made = model("imputer", {"x": VECTOR}, {"y": VECTOR})
    made.imputer.imputedDoubleArray.vector.append(2.5)
    assert run(made, tmp_path, x=[np.nan, 1, np.nan, 3])["y"].tolist() == [2.5, 1, 2.5, 3]


@pytest.mark.parametrize("values", [["b", "a", "c"], [5, 2, 9]])
def test_one_hot_encoding(values: list[Any], tmp_path) -> None:
    fitted = OneHotEncoder(sparse_output=False).fit(np.array(values, object)[:, None])
    categories = fitted.categories_[0].tolist()
    key = "string" if isinstance(values[0], str) else "int64"
    made = model("oneHotEncoder", {"x": key}, {"y": ("DOUBLE", [3])})
    getattr(made.oneHotEncoder, f"{key}Categories").vector.extend(categories)
    for value in values:
        assert run(made, tmp_path, x=value)["y"].tolist() == fitted.transform(np.array([[value]], object))[0].tolist()
    other = "z" if key == "string" else 77
    with pytest.raises(MilError, match="is none of its 3 categories"):
        run(made, tmp_path, x=other)
    made.oneHotEncoder.handleUnknown = made.oneHotEncoder.IgnoreUnknown
    assert run(made, tmp_path, x=other)["y"].tolist() == [0, 0, 0]
    made.oneHotEncoder.outputSparse = True
    made.description.output[0].type.dictionaryType.int64KeyType.SetInParent()
    assert run(made, tmp_path, x=values[0])["y"] == {categories.index(values[0]): 1.0}
    assert run(made, tmp_path, x=other)["y"] == {}


def test_dictionaries(tmp_path) -> None:
    fitted = DictVectorizer(sparse=False).fit([{"a": 1.0, "b": 2.0}, {"c": 3.0}])
    made = model("dictVectorizer", {"x": "dictionary of string"}, {"y": ("DOUBLE", [3])})
    made.dictVectorizer.stringToIndex.vector.extend(fitted.feature_names_)
    for row in ({"a": 4.0, "c": 8}, {}, {"b": -1.5}):
        assert run(made, tmp_path, x=row)["y"].tolist() == fitted.transform([row])[0].tolist()
    with pytest.raises(MilError, match="'z' is none of its 3 keys"):
        run(made, tmp_path, x={"z": 1.0})
    made.description.output[0].type.dictionaryType.int64KeyType.SetInParent()
    assert run(made, tmp_path, x={"c": 8.0, "a": 4})["y"] == {2: 8.0, 0: 4.0}


def test_mapping_of_categories(tmp_path) -> None:
    made = model("categoricalMapping", {"x": "string"}, {"y": "int64"})
    made.categoricalMapping.stringToInt64Map.map.update({"a": 3, "b": 5})
    assert [run(made, tmp_path, x=text)["y"] for text in "ab"] == [3, 5]
    with pytest.raises(MilError, match="'c' is none of its 2 categories"):
        run(made, tmp_path, x="c")
    made.categoricalMapping.int64Value = -1
    assert run(made, tmp_path, x="c")["y"] == -1


@settings(max_examples=10, deadline=None)
@given(st.data())
def test_vectors_of_features_and_elements_of_them(tmp_path_factory, data) -> None:
    """The builders that coremltools has write both models."""
    folder = tmp_path_factory.mktemp("vector")
    length = data.draw(st.integers(1, 5))
    kinds = [("a", datatypes.Double()), ("b", datatypes.Array(length)), ("c", datatypes.Int64()), ("d", datatypes.Dictionary(int))]
    with quiet_coremltools():
        made, total = create_feature_vectorizer(kinds, "v", {"d": 3})
        place = data.draw(st.integers(0, total - 1))
        picked = create_array_feature_extractor([("v", datatypes.Array(total))], "one", place)
        several = create_array_feature_extractor([("v", datatypes.Array(total))], "some", [total - 1, place])
    values = {"a": 0.25, "b": np.arange(length) + 0.5, "c": -7, "d": {2: 1.5, 0: 3.0}}
    expected = np.concatenate([[0.25], values["b"], [-7], [3.0, 0, 1.5]])
    assert run(made, folder, **values)["v"].tolist() == expected.tolist()
    inputs = {"a": "double", "b": ("DOUBLE", [length]), "c": "int64", "d": "dictionary of int64"}
    whole = pipeline([made, picked, several], inputs, {"one": "double", "some": ("DOUBLE", [2])})
    result = run(whole, folder, **values)
    assert result["one"] == expected[place]
    assert result["some"].tolist() == [expected[-1], expected[place]]


def test_identity(tmp_path) -> None:
    made = model("identity", {"x": VECTOR, "s": "string"}, {"s": "string", "x": VECTOR})
    assert run(made, tmp_path, x=[1.0, 2, 3, 4], s="a")["s"] == "a"
    with pytest.raises(MilError, match="gives 't', STRING label, which it does not take"):
        run(model("identity", {"x": VECTOR}, {"t": "string"}), tmp_path, x=X[0])


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"a": "x", "b": 1}, "'a' is 'x': give a number"),
        ({"a": 1.0, "b": 1.5}, "'b' is '1.5': give a whole number"),
        ({"a": 1.0, "b": 1, "c": 3}, "'c' is '3': give a text"),
        ({"a": 1.0, "b": 1, "c": "t", "d": [1]}, "'d' is list: give a dictionary"),
        ({"a": 1.0, "b": 1, "c": "t", "d": {"k": "v"}}, "'d' is 'v': give a number"),
        ({"b": 1}, "'a' is missing"),
    ],
)
def test_inputs_that_do_not_fit_are_named(inputs: dict[str, Any], message: str, tmp_path) -> None:
    kinds = {"a": "double", "b": "int64", "c": "string", "d": "dictionary of string"}
    made = model("identity", kinds, kinds)
    with pytest.raises(MilError, match=re.escape(message)):
        run(made, tmp_path, **{"c": "t", "d": {}, **inputs} if "a" in inputs else inputs)


def hot(change: Any) -> Any:
    made = model("oneHotEncoder", {"x": "string"}, {"y": ("DOUBLE", [2])})
    made.oneHotEncoder.stringCategories.vector.extend("ab")
    change(made)
    return made


def columns(*names: str) -> Any:
    made = model("featureVectorizer", {"a": "double"}, {"v": ("DOUBLE", [1])})
    for name in names:
        made.featureVectorizer.inputList.add(inputColumn=name, inputDimensions=1)
    return made


def extractor(places: list[int], result: Any = "double") -> Any:
    made = model("arrayFeatureExtractor", {"x": VECTOR}, {"y": result})
    made.arrayFeatureExtractor.extractIndex.extend(places)
    return made


def imputer(given: Any, **parameters: Any) -> Any:
    made = model("imputer", {"x": given}, {"y": given})
    for name, value in parameters.items():
        setattr(made.imputer, name, value)
    return made


def changed(made: Any, change: Any) -> Any:
    change(made)
    return made


def several(count: int, result: Any = VECTOR) -> Any:
    made = model("imputer", {"x": VECTOR}, {"y": result})
    made.imputer.imputedDoubleArray.vector.extend([1.0] * count)
    return made


def in_rows(made: Any) -> Any:
    """The model for two rows of four."""
    for described in (*made.description.input, *made.description.output):
        described.type.multiArrayType.shape[:] = [2, 4]
    return made


def no_categories(made: Any) -> None:
    made.oneHotEncoder.ClearField("stringCategories")
    made.oneHotEncoder.stringCategories.SetInParent()


def empty_column() -> Any:
    made = columns("a", "b")
    feature(made.description.input, "b", "double")
    made.featureVectorizer.inputList[1].inputDimensions = 0
    return made


WIDE = np.ones((2, 4))
MALFORMED = {
    "text into numbers": (glm("glmRegressor", {"y": "double"}, np.ones(4), 0.0, {"x": "string"}), "'x', STRING label, as no glmRegressor"),
    "no offset": (glm("glmRegressor", {"y": "double"}, np.ones(4), []), "1 rows of weights and 0 offsets"),
    "two rows as one number": (glm("glmRegressor", {"y": "double"}, WIDE, [0.0, 0]), "gives 2 numbers as one"),
    "unknown transform": (
        changed(glm("glmRegressor", {"y": "double"}, WIDE[:1], 0.0), lambda m: setattr(m.glmRegressor, "postEvaluationTransform", 9)),
        "postEvaluationTransform of number 9",
    ),
    "too few rows": (classifier(WIDE, [0.0, 0], list("abc"), "OneVsRest"), "2 rows of weights for 3 classes"),
    "too many rows": (classifier(WIDE, [0.0, 0], list("ab"), "OneVsRest"), "2 rows of weights for 2 classes"),
    "a class twice": (classifier(WIDE, [0.0, 0], list("aab"), "ReferenceClass"), "class labels that are no 3 different texts"),
    "probit of three": (classifier(WIDE, [0.0, 0], list("abc"), "ReferenceClass", "Probit"), "3 classes, Core ML's probit takes two"),
    "no label": (
        changed(classifier(WIDE[:1], 0.0, list("ab"), "OneVsRest"), lambda m: setattr(m.description, "predictedFeatureName", "q")),
        "does not describe its label",
    ),
    "two inputs": (model("normalizer", {"x": VECTOR, "z": VECTOR}, {"y": VECTOR}), "has 2 inputs, a normalizer model has 1"),
    "scales that do not fit": (scaler([1, 2], []), "has 2 shifts, 0 scales for DOUBLE array 4"),
    "a scaler that makes arrays": (scaler([], [], "double"), "makes DOUBLE array 4 of DOUBLE number"),
    "no categories": (hot(lambda m: m.oneHotEncoder.ClearField("stringCategories")), "has no STRING categories"),
    "categories of length 0": (hot(no_categories), "has no STRING categories"),
    "other categories": (hot(lambda m: m.oneHotEncoder.int64Categories.vector.append(1)), "has no STRING categories"),
    "a category twice": (hot(lambda m: m.oneHotEncoder.stringCategories.vector.append("a")), "has a category twice"),
    "a column that is no input": (columns("a", "q"), "does not put 'q' into its array"),
    "no column": (columns(), "does not put 'a' into its array"),
    "huge columns": (
        changed(columns("a"), lambda m: setattr(m.featureVectorizer.inputList[0], "inputDimensions", 2**62)),
        "an array of 4611",
    ),
    "no element": (extractor([]), "extracts 0 elements as DOUBLE number"),
    "two elements as one": (extractor([0, 1]), "extracts 2 elements as DOUBLE number"),
    "a column of nothing": (empty_column(), "an array of"),
    "no values": (several(0), "puts 0 values into DOUBLE array 4"),
    "too few values": (several(2), "puts 2 values into DOUBLE array 4"),
    "too many values": (several(5), "puts 5 values into DOUBLE array 4"),
    "values of another type": (several(4, ("FLOAT32", [4])), "that is not supported, or damaged"),
    "a value per column": (in_rows(several(4)), "puts 4 values into DOUBLE array 2×4"),
    "a scale per column": (in_rows(scaler([0], [2, 2, 2, 2])), "has 1 shifts, 4 scales for DOUBLE array 2×4"),
    "no value to impute": (imputer(VECTOR), "puts None in the place of None"),
    "text into an array": (imputer(VECTOR, imputedStringValue="a"), "puts a in the place of None in DOUBLE array 4"),
    "a text in the place of a number": (imputer("double", imputedDoubleValue=1.0, replaceStringValue="?"), "in the place of \\? in"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_model_is_refused_in_one_line(case: str, tmp_path) -> None:
    made, message = MALFORMED[case]
    with pytest.raises(MilError) as caught:
        Program.load(saved(made, tmp_path))
    line = str(caught.value)
    assert re.search(message, line), line
    assert line.isprintable()
    assert len(line) < 700


#: What each kind with one input reads, what it gives, and what it reads never.
ONE_INPUT: dict[str, tuple[Any, Any, Any]] = {
    "scaler": ("double", "double", "string"),
    "normalizer": (VECTOR, VECTOR, "double"),
    "imputer": ("double", "double", "dictionary of string"),
    "oneHotEncoder": ("string", ("DOUBLE", [2]), "double"),
    "arrayFeatureExtractor": (VECTOR, "double", "string"),
    "dictVectorizer": ("dictionary of string", ("DOUBLE", [2]), VECTOR),
    "categoricalMapping": ("string", "int64", "double"),
}


@pytest.mark.parametrize("kind", ONE_INPUT)
def test_kinds_have_one_input_and_one_output_of_their_own(kind: str, tmp_path) -> None:
    reads, gives, never = ONE_INPUT[kind]
    for inputs, outputs, told in (
        ({"x": reads, "z": reads}, {"y": gives}, f"has 2 inputs, a {kind} model has 1"),
        ({}, {"y": gives}, f"has 0 inputs, a {kind} model has 1"),
        ({"x": reads}, {"y": gives, "z": gives}, f"has 2 outputs, a {kind} model has 1"),
        ({"x": reads}, {}, f"has 0 outputs, a {kind} model has 1"),
        ({"x": never}, {"y": gives}, f"as no {kind} has"),
    ):
        with pytest.raises(MilError, match=told):
            Program.load(saved(model(kind, inputs, outputs), tmp_path))


def test_several_inputs_make_one_result_and_a_classifier_two(tmp_path) -> None:
    for made, told in (
        (glm("glmRegressor", {"y": "double", "z": "double"}, WIDE[:1], 0.0), "has 2 outputs, a glmRegressor model has 1"),
        (changed(columns("a"), lambda m: m.description.output.add(name="w").type.doubleType.SetInParent()), "has 2 outputs"),
        (
            changed(
                classifier(WIDE[:1], 0.0, list("ab"), "OneVsRest"),
                lambda m: m.description.output.add(name="w").type.int64Type.SetInParent(),
            ),
            "has 3 outputs, a glmClassifier model has 1",
        ),
        (changed(columns("a"), lambda m: m.description.ClearField("input")), "has 0 inputs, a featureVectorizer model has 1"),
    ):
        with pytest.raises(MilError, match=told):
            Program.load(saved(made, tmp_path))


def test_what_does_not_fit_is_told_when_it_runs(tmp_path) -> None:
    with pytest.raises(MilError, match="the features have 4 numbers where 3 are due"):
        run(glm("glmRegressor", {"y": "double"}, np.ones(3), 0.0), tmp_path, x=X[0])
    with pytest.raises(MilError, match="element 4 of 4 is to be extracted"):
        run(extractor([4]), tmp_path, x=X[0])


def labelled(*outputs: tuple[str, Any], label: str = "label", scores: str = "scores") -> Any:
    """A classifier of two classes with these outputs."""
    made = glm("glmClassifier", dict(outputs), np.ones(4), -0.5)
    made.description.predictedFeatureName, made.description.predictedProbabilitiesName = label, scores
    made.glmClassifier.stringClassLabels.vector.extend(["no", "yes"])
    made.glmClassifier.classEncoding = made.glmClassifier.OneVsRest
    return made


LABEL, SCORES = ("label", "string"), ("scores", "dictionary of string")


def test_a_classifier_may_give_its_label_alone_and_its_outputs_in_any_order(tmp_path) -> None:
    for row, label in ((np.ones(4), "yes"), (np.zeros(4), "no")):
        probability = 1 / (1 + np.exp(-(row.sum() - 0.5)))
        assert run(labelled(LABEL, scores=""), tmp_path, x=row) == {"label": label}
        turned = run(labelled(SCORES, LABEL), tmp_path, x=row)
        assert turned == {"label": label, "scores": pytest.approx({"no": 1 - probability, "yes": probability})}


@pytest.mark.parametrize(
    "made",
    [
        labelled(SCORES),
        labelled(SCORES, label="scores", scores=""),
        labelled(LABEL, ("other", "string")),
        labelled(LABEL, ("other", "string"), scores="other"),
        labelled(LABEL, SCORES, scores=""),
        labelled(("label", "dictionary of string"), ("scores", "string")),
    ],
)
def test_a_classifier_that_calls_its_outputs_otherwise_is_refused(made: Any, tmp_path) -> None:
    with pytest.raises(MilError, match="does not describe its label and probabilities"):
        Program.load(saved(made, tmp_path))


@pytest.mark.parametrize("classes", [[], ["a"]])
@pytest.mark.parametrize("encoding", ["OneVsRest", "ReferenceClass"])
def test_one_class_is_none_to_choose(classes: list[str], encoding: str, tmp_path) -> None:
    made = classifier(np.ones(4), 0.0, ["a"], encoding)
    made.glmClassifier.stringClassLabels.vector[:] = classes
    with pytest.raises(MilError, match=f"has 1 rows of weights for {len(classes)} classes"):
        Program.load(saved(made, tmp_path))


@pytest.mark.parametrize(
    ("rows", "offsets"), [([], 0), ([], 1), ([[]], 1), ([[1.0], []], 2), ([[1.0, 2], [1.0]], 2), ([[1.0]], 2), ([[1.0], [2.0]], 1)]
)
def test_rows_of_weights_are_as_long_as_each_other_and_as_many_as_offsets(rows: list[list[float]], offsets: int, tmp_path) -> None:
    made = glm("glmRegressor", {"y": ("DOUBLE", [])}, np.ones(1), 0.0)
    del made.glmRegressor.weights[:], made.glmRegressor.offset[:]
    for row in rows:
        made.glmRegressor.weights.add().value.extend(row)
    made.glmRegressor.offset.extend([0.5] * offsets)
    with pytest.raises(MilError, match=f"has {len(rows)} rows of weights and {offsets} offsets"):
        Program.load(saved(made, tmp_path))


def test_one_row_may_give_an_array_of_one(tmp_path) -> None:
    result = run(glm("glmRegressor", {"y": ("DOUBLE", [1])}, np.ones(4), 0.5), tmp_path, x=np.ones(4))["y"]
    assert isinstance(result, np.ndarray) and result.tolist() == [4.5]


def mapped(inputs: str, outputs: str, default: str = "", **maps: dict[Any, Any]) -> Any:
    made = model("categoricalMapping", {"x": inputs}, {"y": outputs})
    for name, entries in maps.items():
        getattr(made.categoricalMapping, name).SetInParent()
        getattr(made.categoricalMapping, name).map.update(entries)
    if default:
        setattr(made.categoricalMapping, default, {"strValue": "none", "int64Value": 9}[default])
    return made


@pytest.mark.parametrize(("default", "expected"), [("", None), ("strValue", "none")])
def test_whole_numbers_are_mapped_to_texts(default: str, expected: str | None, tmp_path) -> None:
    made = mapped("int64", "string", default, int64ToStringMap={3: "a", -5: "b"})
    assert [run(made, tmp_path, x=value)["y"] for value in (3, -5)] == ["a", "b"]
    if expected:
        assert run(made, tmp_path, x=4)["y"] == expected
        assert run(mapped("int64", "string", default, int64ToStringMap={}), tmp_path, x=4)["y"] == expected


@pytest.mark.parametrize(
    "made",
    [
        mapped("string", "int64"),
        mapped("string", "string", stringToInt64Map={"a": 3}),
        mapped("int64", "int64", stringToInt64Map={"a": 3}),
        mapped("int64", "string", stringToInt64Map={"a": 3}),
        mapped("string", "int64", "strValue", stringToInt64Map={"a": 3}),
        mapped("int64", "string", "int64Value", int64ToStringMap={3: "a"}),
    ],
)
def test_a_mapping_of_other_types_than_its_features_is_refused(made: Any, tmp_path) -> None:
    with pytest.raises(MilError, match=r"does not map (STRING|INT64) to (STRING|INT64)"):
        Program.load(saved(made, tmp_path))


def doubled(given: Any, result: Any, **parameters: Any) -> Any:
    made = imputer(given, **parameters)
    made.description.output[0].CopyFrom(model("identity", {}, {"y": result}).description.output[0])
    return made


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (imputer("double", replaceDoubleValue=5.0), "puts None in the place of 5.0 in DOUBLE number"),
        (imputer("string", imputedStringValue="a", replaceDoubleValue=5.0), "puts a in the place of 5.0"),
        (changed(imputer("double"), lambda m: m.imputer.imputedStringDictionary.map.update({"a": 1.0})), "puts {'a': 1.0} in the place"),
        (changed(imputer(VECTOR), lambda m: m.imputer.imputedInt64Dictionary.map.update({2: 1.0})), "puts {2: 1.0} in the place"),
        (doubled(VECTOR, "double", imputedDoubleValue=1.0), "puts 1.0 in the place of None in DOUBLE array 4"),
        (doubled(VECTOR, ("FLOAT32", [4]), imputedDoubleValue=1.0), "puts 1.0 in the place of None in DOUBLE array 4"),
        (changed(imputer("double"), lambda m: m.imputer.imputedDoubleArray.vector.extend([1, 2])), "puts 2 values into DOUBLE number"),
        (changed(imputer("int64"), lambda m: m.imputer.imputedInt64Array.vector.append(1)), "puts 1 values into INT64 label"),
    ],
)
def test_what_cannot_be_imputed_is_refused(made: Any, told: str, tmp_path) -> None:
    with pytest.raises(MilError, match=re.escape(told)):
        Program.load(saved(made, tmp_path))


def test_empty_texts_are_missing_where_nothing_else_is_said_and_one_number_fills_an_array(tmp_path) -> None:
    text = imputer("string", imputedStringValue="none")
    assert [run(text, tmp_path, x=value)["y"] for value in ("", "nan", "a")] == ["none", "nan", "a"]
    assert run(imputer(VECTOR, imputedDoubleValue=2.5), tmp_path, x=[np.nan, 1, np.nan, 3])["y"].tolist() == [2.5, 1, 2.5, 3]


def test_an_array_of_features_may_be_as_large_as_a_tensor_and_no_larger(tmp_path) -> None:
    def made(length: int) -> Any:
        return changed(columns("a"), lambda m: setattr(m.featureVectorizer.inputList[0], "inputDimensions", length))

    Program.load(saved(made(2**30), tmp_path))
    with pytest.raises(MilError, match="an array of 1073741825 numbers"):
        Program.load(saved(made(2**30 + 1), tmp_path))


def test_no_element_is_no_array_either(tmp_path) -> None:
    with pytest.raises(MilError, match="extracts 0 elements as DOUBLE array 1"):
        Program.load(saved(extractor([], ("DOUBLE", [1])), tmp_path))


def test_a_scaler_of_nothing_changes_nothing(tmp_path) -> None:
    assert run(scaler([], []), tmp_path, x=[1.0, 2, 3, 4])["y"].tolist() == [1, 2, 3, 4]
    assert run(scaler([], [], "double", "double"), tmp_path, x=2.5)["y"] == 2.5


def test_a_model_gives_something(tmp_path) -> None:
    one = changed(columns("a"), lambda m: m.description.ClearField("output"))
    for made in (one, glm("glmRegressor", {"y": "double"}, np.ones(4), 0.0), labelled(LABEL)):
        made.description.ClearField("output")
        with pytest.raises(MilError, match=r"has 0 outputs, a .* model has 1"):
            Program.load(saved(made, tmp_path))

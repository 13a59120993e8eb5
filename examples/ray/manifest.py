"""Is rayservice.yaml what KubeRay and Ray Serve take?

    python manifest.py [CRD]       CRD: KubeRay's ray-operator/config/crd/bases/ray.io_rayservices.yaml

Fields that KubeRay's does not know are errors here. Without CRD only Serve's part is looked at.
"""

import pathlib
import sys

import jsonschema
import yaml
from ray.serve.schema import ServeDeploySchema


def strict(schema):
    """The schema, which refuses fields that it does not know, as `kubectl --validate=strict` does."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: strict(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        closed.setdefault("additionalProperties", False)
    return closed


if __name__ == "__main__":
    manifest = yaml.safe_load((pathlib.Path(__file__).parent / "rayservice.yaml").read_text("utf8"))
    ServeDeploySchema.model_validate(yaml.safe_load(manifest["spec"]["serveConfigV2"]))
    print("rayservice.yaml: Serve's schema is kept")
    for file in sys.argv[1:]:
        versions = yaml.safe_load(pathlib.Path(file).read_text("utf8"))["spec"]["versions"]
        schema = next(each for each in versions if manifest["apiVersion"] == f"ray.io/{each['name']}")["schema"]
        known = strict(schema["openAPIV3Schema"])
        # Kubernetes' own fields, which the file leaves open.
        known["properties"]["metadata"] = {"type": "object"}
        jsonschema.Draft7Validator(known).validate(manifest)
        print(f"rayservice.yaml: {file} is kept")

"""What a test needs to be a user of the stand-in: environment variables, credentials, a plugin that does not wait."""

from __future__ import annotations

import json
from pathlib import Path

from portable.testing import Stack
from portable_gcp import Gcp
from portable_gcp.session import Pace
from tests.clouds.front import Front
from tests.clouds.gcp.cloud import APIS, FILES, PROJECT
from tests.clouds.gcp.iam import SUBJECT

REGION = "europe-west1"
PACE = Pace(poll=0.002, retry=0.002, most=0.01, patience=5.0)


def environment(front: Front, folder: Path) -> dict[str, str]:
    """As a user would point gcloud's own tools at another endpoint; the credentials are workload identity federation's."""
    credentials = folder / "credentials.json"
    subject = folder / "subject"
    subject.write_text(SUBJECT)
    credentials.write_text(
        json.dumps(
            {
                "type": "external_account",
                # no real pool: for those google-auth also asks Google where they may be used
                "audience": "//iam.googleapis.com/stand-in",
                "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
                "token_url": f"{front.url}/token",
                "credential_source": {"file": str(subject)},
            }
        )
    )
    return {
        "GOOGLE_APPLICATION_CREDENTIALS": str(credentials),
        "GOOGLE_CLOUD_PROJECT": PROJECT,
        "CLOUDSDK_COMPUTE_REGION": REGION,
        "CLOUDSDK_CONFIG": str(folder / "gcloud"),
        "NO_GCE_CHECK": "true",
        **{f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{api.upper()}": front.url for api in APIS},
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_FILE": f"{front.url}{FILES}",
    }


def stack(folder: Path) -> Stack:
    """A driver with fresh clients over the same state."""
    return Stack(Gcp(PACE).resource_types(), folder / "state.json")

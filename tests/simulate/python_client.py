"""Uses Mindee's Python client: enqueues a file for each product, polls the results, and reads what was posted.

    python_client.py poll       WEBHOOKS   enqueues with the webhook of each product; prints the results as JSON lines
    python_client.py errors     WEBHOOK    enqueues with a webhook that was deleted; prints the error
    python_client.py models     FILTER     searches for models with these parameters; prints the models and the pagination
    python_client.py posted                reads bodies with signatures as JSON lines from standard input
"""
import json
import sys

from mindee import BytesInput, LocalResponse, PollingOptions, URLInputSource
from mindee.v2 import (
    ClassificationParameters, ClassificationResponse, Client, CropParameters, CropResponse, ExtractionParameters,
    ExtractionResponse, OCRParameters, OCRResponse, SplitParameters, SplitResponse,
)
from mindee.v2.error.mindee_http_error_v2 import MindeeHTTPErrorV2
from mindee.v2.search.models.model_search_parameters import ModelSearchParameters

PRODUCTS = {
    "extraction": (ExtractionParameters, ExtractionResponse),
    "classification": (ClassificationParameters, ClassificationResponse),
    "crop": (CropParameters, CropResponse),
    "split": (SplitParameters, SplitResponse),
    "ocr": (OCRParameters, OCRResponse),
}
# The smallest delays that the client accepts, in seconds.
POLLING = PollingOptions(initial_delay_sec=1, delay_sec=1, max_retries=20)


def summary(product, response):
    """What is compared with the posted body."""
    inference = response.inference
    return {
        "product": product,
        "id": inference.id,
        "job": inference.job.id,
        "alias": inference.file.alias,
        "file": inference.file.name,
        "text": str(response),
    }


def file():
    return BytesInput(b"%PDF-1.4\n%%EOF\n", "tea.pdf")


def poll(webhooks):
    client = Client()
    for (product, (parameters, response)), webhook in zip(PRODUCTS.items(), webhooks.split(","), strict=True):
        options = parameters("m1", alias="order-7", webhook_ids=[webhook], polling_options=POLLING)
        print(json.dumps(summary(product, client.enqueue_and_get_result(response, file(), options))))


def errors(webhook):
    client = Client()
    for source in [file(), URLInputSource("https://example.com/tea.pdf")]:
        try:
            client.enqueue(source, ExtractionParameters("m1", webhook_ids=[webhook]))
        except MindeeHTTPErrorV2 as error:
            print(json.dumps({"status": error.status, "detail": error.detail, "pointer": error.errors[0].pointer}))


def models(parameters):
    found = Client().search(ModelSearchParameters(**json.loads(parameters)))
    for model in found.models:
        webhooks = [[webhook.id, webhook.name, webhook.url] for webhook in model.webhooks]
        print(json.dumps({"id": model.id, "name": model.name, "type": model.model_type, "webhooks": webhooks}))
    pages = found.pagination
    print(json.dumps({
        "page": pages.page, "per_page": pages.per_page, "items": pages.total_items, "pages": pages.total_pages,
    }))


def posted():
    for line in sys.stdin:
        given = json.loads(line)
        body = LocalResponse(given["body"].encode())
        assert body.is_valid_hmac_signature(given["secret"], given["signature"]), given["product"]
        assert not body.is_valid_hmac_signature("another", given["signature"])
        print(json.dumps(summary(given["product"], body.deserialize_response(PRODUCTS[given["product"]][1]))))


{"poll": poll, "errors": errors, "models": models, "posted": posted}[sys.argv[1]](*sys.argv[2:])

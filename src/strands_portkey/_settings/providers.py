"""Settings that only some providers need, by the names that the gateway knows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from typing_extensions import TypedDict

Text = str | Callable[[], str | Awaitable[str]]
"""A text, or a sync or async function that returns it, called for each call of the model."""


class ProviderArgs(TypedDict, total=False):
    """What the gateway needs to know for some providers; part of `ClientArgs` and `CallSettings`.

    Each key is sent as the header ``x-portkey-<key>``.
    See https://portkey.ai/docs/api-reference/inference-api/headers and the provider's own page there.
    """

    anthropic_beta: Sequence[str] | str | None
    """Anthropic: names of beta features, as a list or separated by commas."""
    anthropic_version: str | None
    """Anthropic: version of its API."""

    aws_access_key_id: Text | None
    """AWS: id of the access key."""
    aws_secret_access_key: Text | None
    """AWS: the secret of the access key."""
    aws_session_token: Text | None
    """AWS: token of temporary credentials."""
    aws_region: str | None
    """AWS: region, such as ``eu-central-1``."""
    aws_auth_type: str | None
    """AWS: ``apiKey`` or ``assumedRole``."""
    aws_role_arn: str | None
    """AWS: role to assume."""
    aws_external_id: str | None
    """AWS: external id for the role."""
    aws_bedrock_model: str | None
    """Bedrock: model of a batch or of fine-tuning."""
    aws_s3_bucket: str | None
    """Bedrock: bucket for files."""
    aws_s3_object_key: str | None
    """Bedrock: object in the bucket."""
    amz_server_side_encryption: str | None
    """Bedrock: encryption of files."""
    amz_server_side_encryption_aws_kms_key_id: str | None
    """Bedrock: key for the encryption of files."""
    amzn_sagemaker_custom_attributes: str | None
    """SageMaker: custom attributes of a request."""
    amzn_sagemaker_enable_explanations: str | None
    """SageMaker: expression that decides on explanations."""
    amzn_sagemaker_inference_component: str | None
    """SageMaker: name of the inference component."""
    amzn_sagemaker_inference_id: str | None
    """SageMaker: id of a request."""
    amzn_sagemaker_model_name: str | None
    """SageMaker: name of the model."""
    amzn_sagemaker_session_id: str | None
    """SageMaker: id of a session."""
    amzn_sagemaker_target_container_hostname: str | None
    """SageMaker: host name of the container."""
    amzn_sagemaker_target_model: str | None
    """SageMaker: model of an endpoint with several."""
    amzn_sagemaker_target_variant: str | None
    """SageMaker: variant of the endpoint."""

    azure_resource_name: str | None
    """Azure OpenAI: name of the resource."""
    azure_deployment_id: str | None
    """Azure OpenAI: name of the deployment."""
    azure_api_version: str | None
    """Azure: version of the API."""
    azure_model_name: str | None
    """Azure: name of the model."""
    azure_ad_token: Text | None
    """Azure: token of Entra ID."""
    azure_auth_mode: str | None
    """Azure: ``entra``, ``managed`` or ``workload``."""
    azure_entra_tenant_id: str | None
    """Azure, mode ``entra``: id of the tenant."""
    azure_entra_client_id: str | None
    """Azure, mode ``entra``: id of the client."""
    azure_entra_client_secret: Text | None
    """Azure, mode ``entra``: secret of the client."""
    azure_entra_scope: str | None
    """Azure, mode ``entra``: scope of the token."""
    azure_managed_client_id: str | None
    """Azure, mode ``managed``: id of the client."""
    azure_workload_client_id: str | None
    """Azure, mode ``workload``: id of the client."""
    azure_foundry_url: str | None
    """Azure AI: URL of the project."""
    azure_endpoint_name: str | None
    """Azure ML: name of the endpoint."""
    azure_extra_params: str | None
    """Azure AI: what happens to unknown parameters: ``drop``, ``error`` or ``pass-through``."""

    fireworks_account_id: str | None
    """Fireworks: id of the account."""
    huggingface_base_url: str | None
    """Hugging Face: URL of a dedicated endpoint."""
    mistral_fim_completion: bool | str | None
    """Mistral: whether to fill in the middle."""

    openai_organization: str | None
    """OpenAI: id of the organization."""
    openai_project: str | None
    """OpenAI: id of the project."""
    openai_beta: Sequence[str] | str | None
    """OpenAI: names of beta features."""

    oracle_api_version: str | None
    """Oracle: version of the API."""
    oracle_compartment_id: str | None
    """Oracle: id of the compartment."""
    oracle_fingerprint: str | None
    """Oracle: fingerprint of the key."""
    oracle_key_passphrase: str | None
    """Oracle: passphrase of the key."""
    oracle_private_key: str | None
    """Oracle: the key."""
    oracle_region: str | None
    """Oracle: region."""
    oracle_serving_mode: str | None
    """Oracle: ``ON_DEMAND`` or ``DEDICATED``."""
    oracle_tenancy: str | None
    """Oracle: id of the tenancy."""
    oracle_user: str | None
    """Oracle: id of the user."""

    snowflake_account: str | None
    """Snowflake: name of the account."""
    stability_client_id: str | None
    """Stability AI: id of the client."""
    stability_client_user_id: str | None
    """Stability AI: id of the user."""
    stability_client_version: str | None
    """Stability AI: version of the client."""

    vertex_project_id: str | None
    """Vertex AI: id of the project."""
    vertex_region: str | None
    """Vertex AI: region, such as ``europe-west1``."""
    vertex_service_account_json: Mapping[str, object] | str | None
    """Vertex AI: the service account's key, as a mapping or its JSON."""
    vertex_storage_bucket_name: str | None
    """Vertex AI: bucket for files."""
    workers_ai_account_id: str | None
    """Cloudflare Workers AI: id of the account."""

    provider_model: str | None
    """The provider's own name of a model, for files and batches."""
    provider_file_name: str | None
    """The provider's own name of a file."""
    provider_batch_endpoint: str | None
    """The provider's endpoint that a batch goes to."""
    file_purpose: str | None
    """What an uploaded file is for."""
    file_upload_size: int | str | None
    """Size of an uploaded file in bytes."""
    model_type: str | None
    """Kind of a model, where a provider asks for it."""

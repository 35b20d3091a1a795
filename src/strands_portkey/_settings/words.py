"""The words of parameters and of configs, as far as they are known: what resembles one and is none is a slip."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from strands_portkey._settings.providers import ProviderArgs

WIRE_PARAMS: Final = frozenset(
    {
        *("audio", "background", "cache_control", "container", "context_management", "conversation"),
        *("frequency_penalty", "function_call", "functions", "include", "inference_geo", "input", "instructions"),
        *("logit_bias", "logprobs", "max_completion_tokens", "max_output_tokens", "max_tokens", "max_tool_calls"),
        *("mcp_servers", "messages", "metadata", "modalities", "model", "moderation", "n", "output_config"),
        *("output_format", "parallel_tool_calls", "prediction", "presence_penalty", "previous_response_id", "prompt"),
        *("prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "reasoning", "reasoning_effort"),
        *("response_format", "safety_identifier", "seed", "service_tier", "speed", "stop", "stop_sequences", "store"),
        *("stream", "stream_options", "system", "temperature", "text", "thinking", "tool_choice", "tools", "top_k"),
        *("top_logprobs", "top_p", "truncation", "user", "verbosity", "web_search_options"),
    }
)
"""Words of OpenAI's chat completions and Responses, and of Anthropic's Messages."""

# Words of other providers, and of servers that copy OpenAI. Those in camel case the gateway takes for Bedrock and AI21.
_OF_PROVIDERS: Final = frozenset(
    {
        *("add_special_tokens", "additionalModelRequestFields", "additionalModelResponseFieldPaths"),
        *("additional_model_request_fields", "additional_model_response_field_paths", "anthropic_beta"),
        *("anthropic_version", "api_format", "bad_words", "beam_size", "best_of", "cached_content", "chat_template"),
        *("chat_template_kwargs", "citation_options", "compartment_id", "context_length_exceeded_behavior", "debug"),
        *("disable_search", "do_early_stopping", "documents", "dry_allowed_length", "dry_base", "dry_multiplier"),
        *("early_stopping", "echo", "enable_search", "enable_thinking", "exclude_reasoning", "extras"),
        *("frequencyPenalty", "frequency_penalty_decay", "generation_config", "guardrailConfig", "guardrail_config"),
        *("guided_choice", "guided_grammar", "guided_json", "guided_regex", "ignore_eos", "image_config"),
        *("include_reasoning", "is_echo", "k", "keep_alive", "labels", "length_penalty", "max_context_tokens"),
        *("max_input_tokens", "max_length", "max_new_tokens", "max_thinking_tokens", "minTokens", "min_new_tokens"),
        *("min_p", "min_temperature", "min_tokens", "mirostat", "mirostat_eta", "mirostat_tau", "mode", "models"),
        *("n_predict", "num_ctx", "num_predict", "options", "p", "parse_tool_calls", "performance_config", "plugins"),
        *("presencePenalty", "preset", "prompt_mode", "prompt_truncate_len", "provider", "random_seed"),
        *("reasoning_budget", "reasoning_format", "reasoning_split", "repeat_penalty", "repetition_penalty"),
        *("repetition_penalty_range", "response_modalities", "response_schema", "return_images"),
        *("return_related_questions", "route", "safe_mode", "safe_prompt", "safety_mode", "safety_model"),
        *("safety_settings", "sampler", "samplers", "search_domain_filter", "search_mode", "search_options"),
        *("search_parameters", "search_recency_filter", "serving_mode", "session_id", "skip_special_tokens"),
        *("stop_token_ids", "structured_outputs", "suffix", "think", "thinking_budget", "thinking_config"),
        *("thinking_token_budget", "top_a", "top_n", "trace", "transforms", "translation_options"),
        *("truncate_prompt_tokens", "usage", "use_beam_search"),
    }
)
PARAMS: Final = WIRE_PARAMS | _OF_PROVIDERS
"""Words of the parameters of a request, those of `WIRE_PARAMS` among them."""

_TARGET_KEYS: Final = frozenset(
    {
        *("after_request_hooks", "api_key", "authorization", "before_request_hooks", "cache", "cb_config"),
        *("custom_host", "default_input_guardrails", "default_output_guardrails", "forward_headers", "headers", "id"),
        *("index", "input_guardrails", "input_mutators", "integration_id", "metadata", "name", "on_status_codes"),
        *("output_guardrails", "output_mutators", "override_params", "passthrough", "prompt_id", "provider"),
        *("request_timeout", "retry", "sensitive_headers", "strategy", "strict_open_ai_compliance", "targets"),
        *("virtual_key", "weight"),
        *ProviderArgs.__annotations__,
        # Where a config has another name than the header.
        *("aws_server_side_encryption", "azure_deployment_name", "azure_extra_parameters"),
    }
)
CONFIG: Final[Mapping[str, frozenset[str]]] = {
    "config": _TARGET_KEYS,
    "targets": _TARGET_KEYS,
    "strategy": frozenset({"conditions", "default", "mode", "on_status_codes", "sticky_session"}),
    "conditions": frozenset({"query", "then"}),
    "cache": frozenset({"max_age", "mode"}),
    "retry": frozenset({"attempts", "on_status_codes", "use_retry_after_header"}),
    "override_params": PARAMS,
}
"""Keys of a config's objects, by the key that each stands under; a target has those of the config itself."""

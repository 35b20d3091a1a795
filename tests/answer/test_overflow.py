"""Context overflow: what upstreams say when a conversation is too long, and what only sounds like that."""

from __future__ import annotations

import json
import re
import time

import pytest

from strands_portkey._answer.error_details import read_complaint
from strands_portkey._answer.judgement import Judge
from strands_portkey._answer.overflow import CONTEXT_OVERFLOW_PHRASES, OVERFLOW_CODES
from strands_portkey._errors import PortkeyAPIError, PortkeyContextOverflowError, PortkeyThrottledError

HEADERS = {"x-portkey-provider": "openai"}

# Who says it, with what status, code or type, and words.
OVERFLOWS = [
    (
        "openai",
        400,
        "context_length_exceeded",
        "This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens.",
    ),
    ("openai: the code alone", 400, "context_length_exceeded", "Bad"),
    (
        "openai: no code",
        400,
        None,
        (
            "This model's maximum context length is 128000 tokens. However, you requested 130000 tokens (120000 in the"
            " messages, 10000 in the completion). Please reduce the length of the messages or completion."
        ),
    ),
    ("openai: beside a rate", 400, "context_length_exceeded", "maximum context length is 8, see rate limits"),
    ("openai: responses", 400, None, "Your input exceeds the context window of this model. Please adjust your input."),
    ("openai: gpt-5", 400, None, "Input tokens exceed the configured limit of 272000 tokens. Your messages had 3."),
    ("openai: customer", 400, None, "Input tokens exceeds customer model maximum"),
    ("openai: in a message", 400, None, "Error code: 400 - {'error': {'code': 'context_length_exceeded'}}"),
    ("azure", 400, None, "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens."),
    ("words of a throttle before it", 400, None, "Please wait: too many tokens"),
    ("anthropic", 400, "invalid_request_error", "prompt is too long: 216868 tokens > 200000 maximum"),
    (
        "anthropic: with max_tokens",
        400,
        "invalid_request_error",
        "input length and `max_tokens` exceed context limit: 199759 + 8192 > 200000, decrease input length",
    ),
    ("anthropic: strands' words", 400, None, "input length exceeds context window"),
    ("anthropic: strands' other words", 400, None, "input and output tokens exceed your context limit"),
    ("anthropic: too many bytes", 413, "request_too_large", "Request exceeds the maximum size"),
    ("anthropic: too many bytes, no type", 413, None, "Request exceeds the maximum size"),
    ("anthropic: too many bytes, in a stream", None, "request_too_large", "Request exceeds the maximum size"),
    ("anthropic: documented", 413, None, "Request exceeds the maximum allowed number of bytes."),
    ("bedrock", 400, None, "Input is too long for requested model."),
    ("bedrock: converse", 400, None, "The model returned the following errors: Input is too long for requested model."),
    ("bedrock: llama", 424, None, "The model returned the following errors: This model's maximum context length is 8"),
    ("bedrock: mantle", 400, None, "The request's tokens exceed model maximum"),
    ("bedrock: titan", 400, None, "Too many input tokens. Max input tokens: 8192, request input token count: 9000"),
    (
        "bedrock: nova",
        None,
        "validationException",
        (
            "The model returned the following errors: Input Tokens Exceeded: Number of input tokens exceeds maximum"
            " length. Please update the input to try again."
        ),
    ),
    ("bedrock: the beginning of nova's words", 400, None, "Input Tokens Exceeded: shorten it"),
    ("bedrock: cohere", 400, None, "too many total text bytes: 9437184 > 9000000"),
    (
        "google",
        400,
        "INVALID_ARGUMENT",
        "The input token count (1196265) exceeds the maximum number of tokens allowed (1048575).",
    ),
    ("google: no count", 400, None, "The input token count exceeds the maximum number of tokens allowed 1048576."),
    (
        "vertex-ai",
        400,
        None,
        "Unable to submit request because the input token count is 1200000 but model only supports up to 1048576.",
    ),
    ("google: too many bytes", 400, None, "Request payload size exceeds the limit: 20971520 bytes."),
    ("mistral-ai", 400, "3051", "Bad"),
    (
        "mistral-ai: no code",
        400,
        None,
        "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
    ),
    ("groq", 400, None, "Please reduce the length of the messages or completion."),
    (
        "groq: over any minute",
        413,
        "rate_limit_exceeded",
        "Request too large for model `x` on tokens per minute (TPM): Limit 6000, Requested 7000",
    ),
    (
        "groq: over any minute, no code",
        400,
        None,
        "Request too large for model `x` on tokens per minute (TPM): Limit 6000, Requested 7000",
    ),
    ("groq: too many bytes", 413, "request_too_large", "Request Entity Too Large"),
    ("cohere", 400, None, "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 4252."),
    ("x-ai", 400, None, "This model's maximum prompt length is 131072 but the request contains 537812 tokens."),
    ("deepseek", 400, None, "This model's maximum context length is 65536 tokens. However, you requested 70000 tokens"),
    ("openrouter", 400, None, "This endpoint's maximum context length is 32768 tokens. However, you requested 42832."),
    (
        "openrouter: poolside",
        400,
        None,
        "Input length 131393 exceeds the maximum allowed input length of 131040 tokens.",
    ),
    ("together-ai", 422, None, "The input (300 tokens) is longer than the model's context length (200 tokens)."),
    (
        "together-ai: older",
        422,
        None,
        "`inputs` tokens + `max_new_tokens` must be <= 4097. Given: 4000 `inputs` tokens and 500 `max_new_tokens`",
    ),
    ("fireworks-ai", 400, None, "The prompt is too long: 140000, model maximum context length: 131071"),
    ("perplexity-ai", 400, None, "The total length of all messages is too long."),
    ("ai21", 422, None, "Prompt has too many tokens"),
    ("cerebras", 400, None, "Current length is 10635 while limit is 8192"),
    ("deepinfra", 400, None, "Requested input length 40000 exceeds maximum input length 32768"),
    ("novita-ai", 400, None, "input is longer than the model's context length"),
    ("moonshot", 400, None, "Invalid request: Your request exceeded model token limit: 8192 (requested: 9000)"),
    ("moonshot: documented", 400, "invalid_request_error", "Input token length too long"),
    ("zhipu", 400, "1261", "Prompt exceeds max length"),
    ("zhipu: older", 400, "1210", "tokens in request more than max tokens allowed"),
    ("zhipu: a code", 400, "model_context_window_exceeded", "Bad"),
    ("zhipu: in a message", 400, None, "finish: model_context_window_exceeded"),
    ("glm behind litellm", 400, "400", "Input length 877338 exceeds the maximum allowed input length of 639968 tokens"),
    ("minimax", 400, "2013", "invalid params, context window exceeds limit (2013)"),
    ("dashscope", 400, None, "<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 30720]"),
    ("doubao", 400, "InvalidParameter", "Total tokens of image and text exceed max message tokens. Request id: 02"),
    ("doubao: length", 400, None, "Input length 98404 exceeds the maximum length 98304"),
    ("baidu", 400, "336103", "Prompt tokens too long"),
    ("watsonx", 400, None, "the number of input tokens 9000 cannot exceed the total tokens limit 8192 for this model"),
    (
        "workers-ai",
        413,
        "5021",
        (
            "The estimated number of input and maximum output tokens (10000) exceeded this model"
            " context window limit (8192)."
        ),
    ),
    ("github", 413, "tokens_limit_reached", "Request body too large for gpt-4o model. Max size: 8000 tokens."),
    ("github: no code", 400, None, "Request body too large for gpt-4o model. Max size: 8000 tokens."),
    ("copilot", 400, None, "prompt token count of 100000 exceeds the limit of 65536"),
    ("databricks", 400, None, "the prompt exceeds the max_model_len"),
    ("replicate", 422, None, "input is too long"),
    ("replicate: said of yours", 422, None, "Your input is too long, shorten it"),
    (
        "vllm",
        400,
        "BadRequestError",
        (
            "This model's maximum context length is 262144 tokens. However, you requested 128000 output tokens and your"
            " prompt contains at least 134145 input tokens. Please reduce the length of the input prompt."
        ),
    ),
    (
        "vllm: decoder",
        400,
        None,
        "The decoder prompt (length 15083) is longer than the maximum model length of 8192.",
    ),
    ("vllm: only", 400, None, "The context length is only 8192 tokens, resulting in a negative room"),
    ("vllm: max_tokens is what is left", 400, "BadRequestError", "max_tokens must be at least 1, got -46771."),
    (
        "vllm: max_tokens and input",
        400,
        None,
        (
            "'max_tokens' or 'max_completion_tokens' is too large: 4096. This model's maximum context length is 8192"
            " tokens and your request has 5000 input tokens (4096 > 8192 - 5000)."
        ),
    ),
    ("sglang", 400, None, "Requested token count exceeds the model's maximum context length of 131072 tokens."),
    (
        "sglang: messages",
        400,
        None,
        (
            "Requested token count exceeds the model's maximum context length of 131072 tokens. You requested a total"
            " of 200010 tokens: 198000 tokens from the input messages and 2010 tokens for the completion."
        ),
    ),
    (
        "openrouter: messages",
        400,
        "400",
        (
            "This endpoint's maximum context length is 32768 tokens. However, you requested about 40010 tokens (39000"
            " of text input, 1010 in the output). Please reduce the length of either one."
        ),
    ),
    ("sglang: length", 400, None, "Input length (265330) exceeds model's maximum context length (262144)."),
    (
        "tensorrt-llm",
        400,
        None,
        "The sum of prompt length (38049.0), query length (0) should not exceed max_num_tokens (32768)",
    ),
    ("huggingface", 422, "validation", "Input validation error: `inputs` must have less than 2048 tokens. Given: 2233"),
    ("llama.cpp", 400, "exceed_context_size_error", "Bad"),
    ("llama.cpp: words", 400, None, "request (9000 tokens) exceeds the available context size (8192 tokens)"),
    ("llama.cpp: size", 500, "server_error", "Context size has been exceeded."),
    ("ollama", 400, None, "prompt too long; exceeded max context length by 12 tokens"),
    ("ollama: input", 400, None, "the input length exceeds the context length"),
    ("ollama: prompt", 400, None, "the prompt is longer than the context length"),
    ("ollama: strands' words", 400, None, "the prompt exceeds the available context"),
    (
        "lm studio",
        400,
        None,
        "The number of tokens to keep from the initial prompt is greater than the context length.",
    ),
    ("lm studio: only", 400, None, "However, the model is loaded with context length of only 4096 tokens"),
    ("ds4", 400, None, "Prompt has 32769 tokens, but the configured context size is 32768 tokens"),
    ("llamaapi", 400, None, "input + output would exceed the model's maximum context limit"),
    ("litellm", 400, "400", "litellm.ContextWindowExceededError: litellm.BadRequestError: OpenAIException"),
    ("litellm: the type", 400, "ContextWindowExceededError", "Bad"),
    ("litellm: a limit of input", 400, None, "maximum input length is 4096 tokens"),
    ("openclaw", 400, None, "The request exceeds model context window"),
]

# What it is instead: a fault of a setting, of a part, of the account, or a limit that time lifts.
LOOK_ALIKES = [
    ("openai: per minute", 429, "rate_limit_exceeded", "Request too large for gpt-4 on tokens per min (TPM): Limit 1"),
    ("openai: a rate with the length", 429, None, "maximum context length"),
    ("openai: per minute, no 429", 400, None, "Rate limit reached for gpt-4 on tokens per min (TPM)"),
    ("proxy: a rate and a length", 503, None, "Rate limit: maximum context length of requests per minute reached"),
    (
        "azure: TPM",
        400,
        None,
        "This deployment's TPM is 8000: requests over the maximum context length of it must wait",
    ),
    ("anthropic: rate", 429, "rate_limit_error", "This request would exceed your limit of 40,000 input tokens per min"),
    ("anthropic: long context", 429, None, "Extra usage is required for long context requests."),
    ("anthropic: no long context", 400, None, "The long context beta is not yet available for this subscription."),
    ("bedrock: throttled", 424, None, "Too many tokens, please wait before trying again."),
    ("bedrock: per day", 400, None, "Too many tokens per day, please wait before trying again."),
    ("bedrock: per minute, per day", 400, None, "too many tokens per minute. Too many tokens per day"),
    ("google: two sentences", 400, None, f"input token count is fine. {'x' * 300}exceeds the maximum number of tokens"),
    ("openai: max_completion_tokens", 400, None, "max_completion_tokens exceeds model maximum"),
    ("titan: per minute", 400, None, "Too many input tokens per minute"),
    ("nova: quota", 400, None, "Daily quota of input tokens exceeded: wait"),
    ("google: quota", 429, "RESOURCE_EXHAUSTED", "You exceeded your current quota: input_token_count per minute"),
    ("openrouter: credits", 402, None, "Prompt tokens limit exceeded: 5000 > 4000, maximum context length shrinks"),
    ("proxy: budget", 400, None, "Daily token limit exceeded"),
    ("proxy: plan", 400, None, "Token limit exceeded for your plan"),
    ("proxy: a count", 400, None, "n exceeds the limit of 8"),
    (
        "openai: max_tokens",
        400,
        "invalid_value",
        (
            "max_tokens is too large: 100000. This model supports at most 16384"
            " completion tokens, whereas you provided 100000."
        ),
    ),
    (
        "openai: max_tokens over all",
        400,
        "context_length_exceeded",
        (
            "This model's maximum context length is 8192"
            " tokens. However, you requested 9010 tokens (10 in the messages, 9000 in the completion)."
        ),
    ),
    (
        "openrouter: max_tokens over all",
        400,
        "400",
        (
            "This endpoint's maximum context length is 32768 tokens. However, you requested about 41010 tokens (10 of"
            " text input, 1000 of tool input, 40000 in the output). Please reduce the length of either one."
        ),
    ),
    (
        "sglang: max_tokens over all",
        400,
        None,
        (
            "Requested token count exceeds the model's maximum context length of 131072 tokens. You requested a total"
            " of 200010 tokens: 10 tokens from the input messages and 200000 tokens for the completion. Please reduce"
            " the number of tokens in the input messages or the completion to fit within the limit."
        ),
    ),
    (
        "huggingface: max_new_tokens over all",
        422,
        "validation",
        "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 10 `inputs` tokens and 5000 `max_new_tokens`",
    ),
    (
        "anthropic: max_tokens over all",
        400,
        "invalid_request_error",
        "input length and `max_tokens` exceed context limit: 100 + 200000 > 200000, decrease input length",
    ),
    (
        "openai: max_tokens of a completion over all",
        400,
        None,
        (
            "This model's maximum context length is 8192 tokens, however you requested 9010 tokens (10 in your prompt;"
            " 9000 for the completion). Please reduce your prompt; or completion length."
        ),
    ),
    (
        "vllm: max_tokens over all",
        400,
        None,
        (
            "This model's maximum context length is 8192 tokens. However, you requested"
            " 9000 output tokens and your prompt contains 10 input tokens."
        ),
    ),
    (
        "vllm: max_tokens is too large",
        400,
        None,
        (
            "'max_tokens' or 'max_completion_tokens' is too large: 32768. This"
            " model's maximum context length is 32768 tokens and your request has 20 input tokens."
        ),
    ),
    ("vllm: max_tokens of minus one", 400, None, "max_tokens must be at least 1, got -1."),
    ("vllm: max_tokens of none", 400, None, "max_tokens must be at least 1, got 0."),
    ("vllm: encoder", 400, None, "The encoder prompt (length 3000) is longer than the maximum model length of 1500."),
    ("anthropic: max_tokens", 400, None, "max_tokens: 200000 > 64000, which is the maximum allowed number of output"),
    ("anthropic: budget", 400, None, "`budget_tokens` must not exceed the model's maximum context length"),
    ("bedrock: max_tokens", 400, None, "max_tokens (10000) exceeds model maximum (8192)"),
    (
        "groq: max_tokens",
        400,
        None,
        (
            "`max_tokens` must be less than or equal to `8192`, the maximum value for"
            " `max_tokens` is less than the `context_window` for this model"
        ),
    ),
    ("deepseek: max_tokens", 400, None, "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]"),
    ("dashscope: max_tokens", 400, None, "Range of max_tokens should be [1, 8192]"),
    (
        "google: max output",
        400,
        None,
        (
            "Unable to submit request because it has a maxOutputTokens value of 99999 but the"
            " supported range is from 1 (inclusive) to 65537 (exclusive)."
        ),
    ),
    ("max output tokens and the window", 400, None, "Max output tokens exceeds the context window"),
    ("sglang: max_new_tokens", 400, None, "max_new_tokens must be less than the model's context length"),
    ("ollama: num_ctx", 400, None, "num_ctx 262144 exceeds the model's maximum context length"),
    (
        "openai: a text too long",
        400,
        "string_above_max_length",
        (
            "Invalid 'user': string too long. Expected a string with"
            " maximum length 64, but got a string with length 80 instead."
        ),
    ),
    (
        "openai: a message too long",
        400,
        "string_above_max_length",
        (
            "Invalid 'messages[0].content': string too long."
            " Expected a string with maximum length 1048576, but got a string with length 1540820 instead."
        ),
    ),
    (
        "openai: a tool's description",
        400,
        None,
        "Invalid 'tools[0].function.description': string too long. Expected a string with maximum length 1024.",
    ),
    ("openai: a call's id", 400, None, "Invalid 'messages[2].tool_calls[0].id': string too long. Expected 40."),
    ("openai: tools", 400, None, "Invalid 'tools': array too long. Expected an array with maximum length 128"),
    ("openai: stop", 400, None, "Invalid 'stop': array too long. Expected an array with maximum length 4"),
    ("anthropic: a tool's name", 400, None, "tools.0.custom.name: String should have at most 64 characters"),
    ("bedrock: a field", 400, None, "Malformed input request: expected maxLength: 512, actual: 600"),
    ("a field of a form", 422, None, "Input is too long for the field 'title'"),
    ("speech: a text", 400, None, "Text input is too long: at most 4096 characters"),
    ("moderation: a length", 400, None, "maximum input length is 4096 characters"),
    ("huggingface: characters", 400, None, "`inputs` must have less than 100 characters. Given: 101"),
    ("nlpcloud: a text", 400, None, "Input text length should not exceed 1024"),
    ("nlpcloud: a length", 400, None, "length limit exceeded"),
    ("a prompt's field", 422, None, "prompt exceeds max length (2000 chars)"),
    ("metadata", 400, None, "metadata value is too long: at most 512 characters"),
    ("openai: batches", 400, "token_limit_exceeded", "Enqueued token limit reached for gpt-4o. Limit: 90,000 enqueued"),
    ("openai: embeddings", 400, None, "Invalid 'input': array too long. Expected an array with maximum length 2048"),
    ("cohere: embeddings", 400, None, "total number of texts must be at most 96 - received 200"),
    ("bedrock: embeddings", 400, None, "a maximum of 128 texts is allowed in one batch"),
    ("llama.cpp: batch", 500, None, "input is too large to process. increase the physical batch size"),
    ("llama.cpp: a slot", 503, None, "no slot available"),
    ("llama.cpp: the cache", 500, None, "failed to find free space in the KV cache, retry with smaller batch size"),
    ("triton: batch", 400, None, "inference request batch-size must be <= 8"),
    ("anthropic: an image", 400, None, "messages.0.content.1.image.source.base64: image exceeds 5 MB maximum"),
    ("anthropic: many images", 400, None, "At least one of the image dimensions exceed max allowed size: 2000 pixels"),
    ("anthropic: images", 400, None, "Too many images: at most 100 are allowed"),
    ("google: images", 400, None, "Number of images 20 exceeds the maximum of 16"),
    ("anthropic: pages", 400, None, "A maximum of 100 PDF pages may be provided."),
    ("a file", 413, None, "The uploaded file is too large: at most 25 MB"),
    ("an image, with 413", 413, None, "Image is too large"),
    ("an attachment, with 413", 413, None, "The uploaded attachment is too large"),
    ("nginx, cloudflare", 413, None, "<html><title>413 Request Entity Too Large</title></html>"),
    ("express", 413, "entity.too.large", "request entity too large"),
    ("fastify", 413, "FST_ERR_CTP_BODY_TOO_LARGE", "Request body is too large"),
    ("aws", 413, None, "Payload Too Large"),
    ("rfc 9110", 413, None, "Content Too Large"),
    ("cerebras: no body", 413, None, ""),
    ("cerebras: no body, said by an SDK", 413, None, "413 status code (no body)"),
    ("headers", 431, None, "Request Header Fields Too Large"),
    ("address", 414, None, "URI Too Long"),
    ("too large elsewhere", 400, None, "Request body is too large"),
    ("no rights", 403, None, "You are not allowed to use models with a maximum context length of 1M"),
    ("no model", 404, None, "model foo with maximum context length 128k not found"),
    ("a key", 401, "context_length_exceeded", "Incorrect key"),
    ("a parameter", 400, None, "Unknown parameter: 'context_length'"),
    ("a parameter in words", 400, None, "The parameter 'context length' is not supported"),
    ("a window", 400, None, "context window must be one of: low, medium, high"),
    ("time", 408, None, "The request took too long"),
    ("no words", 400, None, ""),
]


def judged(status, code, message):
    error = {"error": {"message": message, "code": code}}
    if status is None:
        return Judge().api_error(read_complaint(json.dumps(error)))
    return Judge().response_error(status, HEADERS, json.dumps(error))


def test_the_tables_name_each_line_once():
    names = [name for name, *_ in [*OVERFLOWS, *LOOK_ALIKES]]

    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("status", "code", "message"), [row[1:] for row in OVERFLOWS], ids=[row[0] for row in OVERFLOWS]
)
def test_an_overflow_is_known(status, code, message):
    error = judged(status, code, message)

    assert (type(error), error.retryable) == (PortkeyContextOverflowError, False)


@pytest.mark.parametrize(
    ("code", "message"),
    [row[2:] for row in OVERFLOWS if row[2] != "rate_limit_exceeded"],
    ids=[row[0] for row in OVERFLOWS if row[2] != "rate_limit_exceeded"],
)
def test_an_overflow_is_known_inside_a_stream(code, message):
    assert type(judged(None, code, message)) is PortkeyContextOverflowError


@pytest.mark.parametrize(
    ("status", "code", "message"), [row[1:] for row in LOOK_ALIKES], ids=[row[0] for row in LOOK_ALIKES]
)
def test_what_a_shorter_conversation_does_not_mend_is_no_overflow(status, code, message):
    assert type(judged(status, code, message)) in {PortkeyAPIError, PortkeyThrottledError}


@pytest.mark.parametrize("code", sorted(OVERFLOW_CODES))
def test_a_code_is_an_overflow_in_any_case_and_as_a_type(code):
    for name in ("code", "type"):
        body = json.dumps({"error": {"message": "Bad", name: code.upper()}})

        assert type(Judge().response_error(400, HEADERS, body)) is PortkeyContextOverflowError


@pytest.mark.parametrize("phrase", CONTEXT_OVERFLOW_PHRASES)
def test_each_phrase_is_needed(phrase):
    found_by = [
        [each for each in CONTEXT_OVERFLOW_PHRASES if re.search(each, message, re.IGNORECASE)]
        for _, _, code, message in OVERFLOWS
        if code not in OVERFLOW_CODES
    ]

    assert [phrase] in found_by


def test_the_users_own_phrases_are_looked_for_too_and_not_overruled():
    body = json.dumps({"error": {"message": "max_tokens per minute: Far too long"}})

    assert type(Judge(["far too long"]).response_error(400, HEADERS, body)) is PortkeyContextOverflowError
    assert type(Judge().response_error(400, HEADERS, body)) is PortkeyAPIError


@pytest.mark.parametrize("row", [*OVERFLOWS, *LOOK_ALIKES], ids=lambda row: row[0])
def test_a_message_that_repeats_the_beginning_of_a_phrase_is_judged_quickly(row):
    words = row[3].split() or ["x"]
    half = " ".join(words[: max(1, len(words) // 2)])
    began = time.thread_time()

    for text in (half, row[3], half.replace(" ", "")):
        Judge().response_error(
            400, HEADERS, json.dumps({"error": {"message": (text + " ") * (4000 // len(text or "x"))}})
        )

    assert time.thread_time() - began < 0.5

"""Structured output: parses an answer into an instance of the output model."""

from __future__ import annotations

from typing import Final, TypeVar

from pydantic import BaseModel, ValidationError
from strands.types.content import ContentBlock, Message

from strands_portkey._answer.judgement import Judge
from strands_portkey._errors import PortkeyStreamError

T = TypeVar("T", bound=BaseModel)

_OUTPUT_QUOTE_LENGTH: Final = 4000  # Characters of an answer that an error quotes.
_PROBLEMS: Final = 5  # Problems of an answer that an error describes.
_MOST_PROBLEMS: Final = 1000  # To describe more than these would take too long.


def to_output(output_model: type[T], message: Message, tool_name: str, judge: Judge) -> T:
    """Return the instance in an answer, which is a tool's input or JSON text.

    Raises:
        PortkeyStreamError: If the answer does not match the model; the error quotes the answer.
    """
    content = message["content"]
    text = "".join(_text_in(block) for block in content)
    try:
        for block in content:
            if "toolUse" in block and block["toolUse"]["name"] == tool_name:
                return output_model.model_validate(block["toolUse"]["input"])
        return output_model.model_validate_json(text)
    except ValidationError as error:
        problems = _problems(error)
    # Raised outside the handler, since pydantic's exception quotes the answer without masking.
    said = (
        f"the answer does not fit {output_model.__name__}: {judge.quote(problems, _OUTPUT_QUOTE_LENGTH)}"
        f"\nThe model said: {judge.quote(repr(content), _OUTPUT_QUOTE_LENGTH)}"
    )
    raise PortkeyStreamError(said, origin="provider", retryable=True)


def _text_in(block: ContentBlock) -> str:
    """Return the text of a block, which may stand beside its sources; empty where it has none."""
    if "citationsContent" in block:
        return "".join(part["text"] for part in block["citationsContent"].get("content", ()) if "text" in part)
    return block.get("text", "")


def _problems(error: ValidationError) -> str:
    """Describe the problems without the values, since pydantic shortens these, perhaps in the middle of a key."""
    count = error.error_count()
    if count > _MOST_PROBLEMS:
        return f"{count} problems"
    found = error.errors(include_url=False, include_context=False, include_input=False)[:_PROBLEMS]
    said = "; ".join(": ".join(filter(None, (".".join(map(str, each["loc"])), each["msg"]))) for each in found)
    return said if count <= _PROBLEMS else f"{said}; and {count - _PROBLEMS} more"

"""The block `persona-credentials`: the client secret and addresses of a Persona account, kept by Prefect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect.blocks.core import Block
from pydantic import Field, SecretStr

from connectors.settings import PERSONA_BASE_URL, PERSONA_VOICE_BASE_URL, HttpUrl, PersonaSettings

if TYPE_CHECKING:
    from typing import Self

DEFAULT_NAME = "persona"


class PersonaCredentials(Block):
    """Access to one Persona account; flows that name this block use it instead of the environment."""

    _block_type_name = "Persona credentials"
    _block_type_slug = "persona-credentials"
    _description = "Client secret and addresses of a Persona account."

    client_secret: SecretStr = Field(title="Client secret", description="Sent as it is in the Authorization header.")
    base_url: HttpUrl = Field(PERSONA_BASE_URL, title="Base URL", description="With its path, such as …/persona/.")
    voice_base_url: HttpUrl = Field(PERSONA_VOICE_BASE_URL, title="Voice base URL", description="Of the voice service.")

    def settings(self) -> PersonaSettings:
        """Return them in the form that the pipeline takes."""
        return PersonaSettings(
            client_secret=self.client_secret, base_url=self.base_url, voice_base_url=self.voice_base_url
        )

    @classmethod
    async def named(cls, name: str) -> Self:
        """Load the block of this name.

        Raises:
            UsageError: there is none; the sentence says how to make one.
        """
        from connectors.errors import UsageError

        try:
            return await cls.aload(name)
        except ValueError:
            raise UsageError(
                f"There is no block persona-credentials/{name}. Make it under Blocks in the UI, or leave the field "
                "empty to use PERSONA_CLIENT_SECRET of the worker."
            ) from None

"""A document's id in a URL: anything, slashes and line breaks too."""

from starlette.convertors import Convertor, register_url_convertor

# What stands in a route's path for it: {id:any}.
ANY = "any"


class AnyText(Convertor[str]):
    """The rest of a path; starlette's own `path` ends at a line break."""

    regex = r"(?s:.*)"

    def convert(self, value: str) -> str:
        """Return it as it is."""
        return value

    def to_string(self, value: str) -> str:
        """Return it as it is."""
        return value


register_url_convertor(ANY, AnyText())

import gzip

import schemathesis


@schemathesis.serializer("application/gzip", "application/x-gzip")
def compress(context, value):
    return gzip.compress(str(value).encode("utf-8", "replace"))


# A cursor comes from the page before. Any other is refused, however well it is formed.
@schemathesis.hook
def before_call(context, case, kwargs):
    if case.meta and case.meta.generation.mode.is_positive and case.query:
        case.query.pop("cursor", None)

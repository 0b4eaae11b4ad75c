"""The native engine. Everything else about the package stands in pyproject.toml.

Three environment variables build variants of it, which the tests compare with each other:

``LRCORE_NO_FMV=1``      one copy of each loop instead of one a CPU generation
``LRCORE_MARCH=<arch>``  that one copy compiled for ``<arch>``, e.g. ``x86-64-v3``
``LRCORE_SANITIZE=1``    AddressSanitizer and UndefinedBehaviorSanitizer
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

SANITIZE = os.environ.get("LRCORE_SANITIZE") == "1"
MARCH = os.environ.get("LRCORE_MARCH", "")
# The clones' resolvers run before the sanitizer's runtime is up; a fixed architecture leaves no choice.
NO_FMV = SANITIZE or bool(MARCH) or os.environ.get("LRCORE_NO_FMV") == "1"

# One result on every machine: no contraction into FMA. The next two only let the compiler vectorise (no
# kernel reads errno or the floating-point flags); -g0 undoes the -g of many interpreters' CFLAGS.
UNIX_FLAGS = ["-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-g0"]
MSVC_FLAGS = ["/O2", "/fp:precise"]
# float-cast-overflow is not part of undefined, and is what a conversion of a step to int64 can do wrong.
SANITIZE_FLAGS = ["-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all"]


def variant() -> str:
    """Name the build folder of this variant: objects of different flags must not be taken for each other."""
    words = ["sanitize"] * SANITIZE + ["no-fmv"] * NO_FMV + [MARCH] * bool(MARCH)
    return "-".join(["build/engine", *words])


class BuildEngine(build_ext):
    """Chooses the flags once the compiler is known."""

    def build_extensions(self) -> None:
        """Build each extension with the flags of this compiler."""
        for extension in self.extensions:
            self.add_flags(extension)
        super().build_extensions()

    def add_flags(self, extension: Extension) -> None:
        """Append, never replace: of two contradicting flags the compiler takes the last."""
        if self.compiler.compiler_type == "msvc":
            extension.extra_compile_args += MSVC_FLAGS
            return
        extension.extra_compile_args += UNIX_FLAGS
        if MARCH:
            extension.extra_compile_args.append(f"-march={MARCH}")
        if SANITIZE:
            extension.extra_compile_args += [*SANITIZE_FLAGS, "-O1", "-g", "-fno-omit-frame-pointer"]
            extension.extra_link_args += SANITIZE_FLAGS


engine = Extension(
    "lrcore._engine",
    sources=["lrcore/_engine.pyx"],
    depends=["setup.py", *map(str, Path("lrcore").glob("*.h"))],
    include_dirs=["lrcore"],
    define_macros=[("LRCORE_NO_FMV", "1")] if NO_FMV else [],
)

setup(
    # Outside the package, so that no generated C reaches a wheel or an sdist.
    ext_modules=cythonize([engine], build_dir="build/cython"),
    cmdclass={"build_ext": BuildEngine},
    options={"build": {"build_base": variant()}},
)

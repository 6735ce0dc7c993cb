"""The data image: the image `base`, with numpy, pandas, and packages that go with them.

    pins.py        reads data.toml, and fetches source archives
    extensions.py  builds the native code of one package into objects
    driver.py      the compiler that it uses
    image.py       links them with CPython, and makes the image

The files are in a directory of their own, because those of wasm/recipe itself are inputs of the
image `base`.
"""

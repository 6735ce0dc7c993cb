"""The data image: the image `base`, with numpy, pandas, and packages that go with them.

    pins.py        reads data.toml, and fetches source archives
    extensions.py  builds the native code of one package into objects
    driver.py      the compiler that it uses
    plain.py       builds extension modules that are a few files of C
    pure.py        unpacks the packages of pure Python
    linking.py     links the native code with CPython
    image.py       makes the image

The files are in a directory of their own, because those of wasm/recipe itself are inputs of the
image `base`.
"""

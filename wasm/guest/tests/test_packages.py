"""The packages of the image: names of modules from the paths of files."""

import unittest

from _serpentarium.core import packages

SITE = "/usr/lib/python3.13/site-packages"


class PlacesTest(unittest.TestCase):
    def test_modules_have_the_paths_of_their_files(self) -> None:
        files = ["one/__init__.py", "one/part.py", "one/deep/__init__.py", "six.py"]
        places = packages.places_of(f"{SITE}/{file}" for file in files)
        self.assertEqual(
            places,
            {
                "one": f"{SITE}/one/__init__.py",
                "one.part": f"{SITE}/one/part.py",
                "one.deep": f"{SITE}/one/deep/__init__.py",
                "six": f"{SITE}/six.py",
            },
        )

    def test_a_directory_without_a_file_of_its_own_is_a_package(self) -> None:
        places = packages.places_of([f"{SITE}/space/deep/inner.py"])
        self.assertEqual(
            places,
            {
                "space": f"{SITE}/space",
                "space.deep": f"{SITE}/space/deep",
                "space.deep.inner": f"{SITE}/space/deep/inner.py",
            },
        )

    def test_this_machine_has_no_packages_of_an_image(self) -> None:
        self.assertEqual(packages.PLACES, {})


if __name__ == "__main__":
    unittest.main()

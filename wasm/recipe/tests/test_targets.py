"""The targets of images, and where their products are."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import targets


class Targets(unittest.TestCase):
    """`targets`."""

    def test_the_list_is_read_from_the_rust_source(self) -> None:
        triples = targets.triples()
        self.assertIn("x86_64-unknown-linux-gnu", triples)
        self.assertIn("aarch64-apple-darwin", triples)
        self.assertEqual(len(set(triples)), 5)

    def test_each_target_has_a_place_of_its_own(self) -> None:
        build = Path("build")
        others = [triple for triple in targets.triples() if triple != targets.host()]
        self.assertEqual(targets.place(build, targets.host(), stock=False), build)
        self.assertEqual(targets.place(build, targets.host(), stock=True), build / "stock")
        for triple in others:
            self.assertEqual(targets.place(build, triple, stock=True), build / triple / "stock")


if __name__ == "__main__":
    unittest.main()

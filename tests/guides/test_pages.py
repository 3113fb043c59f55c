"""What a page of the guides may not have, and when its output is the one that it shows."""

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import pages


class Pages(unittest.TestCase):
    def read(self, text):
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder) / "page.md"
            page.write_text(text, encoding="utf-8")
            return pages.blocks(page)

    def refused(self, text, reason):
        with self.assertRaisesRegex(pages.PageError, reason):
            self.read(text)

    def test_a_block_that_nobody_would_run_is_refused(self):
        self.refused("```sh\nls\n```\n", "a block of kind 'sh'")
        self.refused("```\nls\n```\n", "a block of kind ''")
        self.refused("```python\nprint()\n```\n", "has to name the file")
        self.refused("```python\n# ../out.py\n```\n", "has to name the file")
        self.refused("```python\n# one.py\n```\n", "nothing on the page runs one.py")
        self.refused("```rust\n// src/main.rs\n```\n", "nothing on the page runs src/main.rs")
        self.refused("```bash\nls\n", "is not closed")

    def test_output_belongs_to_the_block_before_it_in_the_same_section(self):
        text = "```bash\nls\n```\nsays\n```text\na\n```\n## Next\n```json\n{}\n```\n```text\nb\n```\n"
        [block] = self.read(text)
        self.assertEqual(block.shown, ["a\n"])

    def test_a_file_is_saved_under_the_name_that_its_first_line_gives(self):
        text = "```python\n# one.py\nprint()\n```\n```bash\npython3 one.py\n```\n"
        file, typed = self.read(text)
        self.assertEqual((file.file, file.line, file.text), ("one.py", 1, "# one.py\nprint()\n"))
        self.assertIsNone(typed.file)

    def test_output_that_differs_is_noticed_and_an_ellipsis_stands_for_anything(self):
        self.assertTrue(pages.agrees("a …\nend\n", "a b\nc\r\nend"))
        self.assertFalse(pages.agrees("a …\nend\n", "a b\nc\n"))
        self.assertFalse(pages.agrees("a.c", "abc"))
        self.assertFalse(pages.agrees("a", "a\nb"))


if __name__ == "__main__":
    unittest.main()

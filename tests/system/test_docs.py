# SPDX-License-Identifier: BSD-2-Clause
"""What the documentation points at is there: files, headings, source files, options of the configuration and of the programs."""

import glob
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "lib"))

import daemon
import tap

ROOT = os.path.dirname(os.path.dirname(HERE))
PAGES = sorted(glob.glob(os.path.join(ROOT, "*.md")) + glob.glob(os.path.join(ROOT, "doc", "*.md")))
LAYERS = "auth|bench|conf|ctl|http|net|probe|signal|stun|turn|util|web|worker"


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as f:
        return f.read()


def prose(path):
    """A page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", read(path), flags=re.DOTALL | re.MULTILINE)


def anchors(path):
    """The names of a page's headings as links have them."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", prose(path))
    return {re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-") for title in re.findall(r"^#+ (.*)", text, re.MULTILINE)}


def test_links():
    """links between the pages lead to files and headings that are there"""
    for page in PAGES:
        text = prose(page)
        for link in re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'\b(?:src|srcset)="([^"]+)"', text):
            if link.startswith("https://"):
                continue
            path, _, anchor = link.partition("#")
            target = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
            tap.check(os.path.exists(target), "%s: %s is not there" % (page, link))
            tap.check(not anchor or anchor in anchors(target), "%s: %s has no such heading" % (page, link))


def test_files():
    """files and folders of the source tree that the pages name are there"""
    for page in PAGES:
        for name in re.findall(r"`((?:%s|contrib|doc|etc|src|tests)/[\w./-]+)`" % LAYERS, prose(page)):
            name = name.rstrip("/")
            if re.search("AREA|NAME|node_modules", name) or name == "http/1.1":
                continue
            there = [p + end for p in (name, "src/" + name) for end in ("", ".c") if os.path.exists(os.path.join(ROOT, p + end))]
            tap.check(there, "%s: %s is not there" % (page, name))


def test_packages():
    """the packages that README has installed are those that contrib/dev has"""
    wanted = re.search(r"^build_packages=\(([^)]*)\)", read("contrib", "dev"), re.MULTILINE)[1].split()
    named = re.search(r"sudo apt-get install ((?:.*\\\n)*.*)", read("README.md"))[1].replace("\\", "").split()
    tap.equal(named, wanted, "packages in README")


def test_keys():
    """options of the configuration that the pages and the manual name exist"""
    keys = set(re.findall(r"^\.It Ic ([\w.]+)$", read("doc", "turnpike.conf.5.in"), re.MULTILINE))
    groups = {key.split(".")[0] for key in keys if "." in key}
    for page in PAGES + glob.glob(os.path.join(ROOT, "doc", "*.in")):
        named = re.findall(r"(?:`|^\.Ic )(\w+\.[\w.]+)(?= =|`|$| )", read(page), re.MULTILINE)
        for name in named:
            if name.split(".")[0] in groups:
                tap.check(name in keys, "%s: there is no option %s" % (page, name))


def helped(program, *words):
    """The options and the commands, as tuples of words, that --help lists."""
    path = os.path.join(daemon.BUILD, "src", program)
    text = subprocess.run([path, *words, "--help"], capture_output=True, text=True, check=True).stdout
    options = set()
    for line in re.findall(r"^ +(-.*)", text, re.MULTILINE):
        options |= set(re.findall(r"(?<![\w-])--?[\w-]+", line.split("  ")[0]))
    listed = text.partition("\nCommands:\n")[2].partition("\n\n")[0]
    return options, {tuple(re.findall(r"^[a-z][a-z-]*|(?<= )[a-z][a-z-]*", line.strip().split("  ")[0])) for line in listed.splitlines()}


def manual(page):
    """The options and the commands that its lists have."""
    options, commands = set(), set()
    for line in re.findall(r"^\.It (.*)", read("doc", page), re.MULTILINE):
        options |= {"-" + name for name in re.findall(r"\bFl (\S+)", line)}
        if line.startswith("Cm "):
            commands.add(tuple(re.findall(r"[a-z][a-z-]*", line[3:].split(" Ar ")[0])))
    return options, commands


def test_options():
    """every option and command that --help lists is in the manual page, and the other way round"""
    for program, page in (("turnpiked", "turnpiked.8.in"), ("turnpikectl", "turnpikectl.1.in"),
                          ("turnpike-probe", "turnpike-probe.1.in"), ("turnpike-bench", "turnpike-bench.1.in")):
        options, commands = helped(program)
        for command in commands:
            options |= helped(program, *command)[0]
        paged, described = manual(page)
        tap.equal(sorted(options - paged), [], "options of %s that its page lacks" % program)
        tap.equal(sorted(paged - options), [], "options of the page of %s that there are not" % program)
        tap.equal(described, commands, "commands in the page of %s" % program)


if __name__ == "__main__":
    tap.main()

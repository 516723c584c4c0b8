package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// block is one fenced block of a document.
type block struct {
	file string
	line int
	// lang is what stands behind the fence.
	lang string
	text string
	// before is the last line that is not empty in front of it.
	before string
}

// documents are the Markdown files of the project, relative to its root, the README first.
func documents(t *testing.T) []string {
	t.Helper()
	list := []string{"README.md", "CONTRIBUTING.md"}
	for _, pattern := range []string{"docs/*.md", "docs/decisions/*.md", "deploy/examples/*/README.md"} {
		found, err := filepath.Glob("../" + pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("no documents like %s: %v", pattern, err)
		}
		for _, file := range found {
			list = append(list, strings.TrimPrefix(file, "../"))
		}
	}
	return list
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile("../" + file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// blocksOf finds the fenced blocks of a document.
func blocksOf(t *testing.T, file string) []block {
	t.Helper()
	var list []block
	var open *block
	last, n := "", 0
	for line := range strings.Lines(read(t, file)) {
		n++
		switch fence, isFence := strings.CutPrefix(strings.TrimSpace(line), "```"); {
		case isFence && open == nil:
			open = &block{file: file, line: n, lang: fence, before: last}
		case isFence:
			list = append(list, *open)
			open, last = nil, "```"
		case open != nil:
			open.text += line
		case strings.TrimSpace(line) != "":
			last = strings.TrimSpace(line)
		}
	}
	if open != nil {
		t.Errorf("%s:%d: the block does not end", file, open.line)
	}
	return list
}

// TestFences lets no document have a block of shell that is neither run nor says why not.
func TestFences(t *testing.T) {
	t.Parallel()
	notRun := 0
	for _, file := range documents(t) {
		for _, b := range blocksOf(t, file) {
			switch b.lang {
			case "sh", "text", "yaml", "":
			case "bash":
				notRun++
				if !strings.HasPrefix(b.before, "<!-- not run: ") {
					t.Errorf("%s:%d: say in a comment before it why this block is not run, or make it one of ```sh", b.file, b.line)
				}
			default:
				t.Errorf("%s:%d: ```%s is none of sh (run), bash (not run, with a reason), yaml (decoded), text", b.file, b.line, b.lang)
			}
		}
	}
	if notRun > 13 {
		t.Errorf("%d blocks are not run; make them ones that can be", notRun)
	}
}

// TestManifestsAreGood decodes every example of the documents and holds them all together against the rules.
func TestManifestsAreGood(t *testing.T) {
	t.Parallel()
	for _, file := range documents(t) {
		for _, b := range blocksOf(t, file) {
			if b.lang == "yaml" {
				decodes(t, b)
			}
		}
	}
}

var link = regexp.MustCompile(`\]\(([^)#\s]+)(#[^)\s]*)?\)`)

// TestLinksLeadSomewhere follows the links between the files of the project.
func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	for _, file := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(read(t, file), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join("..", filepath.Dir(file), m[1])); err != nil {
				t.Errorf("%s: the link %s leads nowhere: %v", file, m[1], err)
			}
		}
	}
}

// rowsOf gives the cells of the table below a heading, without its head and without backticks around a cell.
func rowsOf(t *testing.T, file, heading string) [][]string {
	t.Helper()
	_, rest, ok := strings.Cut(read(t, file), "\n"+heading+"\n")
	if !ok {
		t.Fatalf("%s has no heading «%s»", file, heading)
	}
	var rows [][]string
	for line := range strings.Lines(rest) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") {
			break
		}
		if !strings.HasPrefix(line, "|") {
			continue
		}
		var cells []string
		for cell := range strings.SplitSeq(strings.Trim(line, "|"), "|") {
			cells = append(cells, strings.TrimSpace(cell))
		}
		rows = append(rows, cells)
	}
	if len(rows) < 3 {
		t.Fatalf("%s: there is no table below «%s»", file, heading)
	}
	return rows[2:]
}

var quoted = regexp.MustCompile("`([^`]+)`")

// words are what stands between backticks, sorted.
func words(cell string) []string {
	var list []string
	for _, m := range quoted.FindAllStringSubmatch(cell, -1) {
		list = append(list, m[1])
	}
	slices.Sort(list)
	return list
}

package main

import (
	"fmt"
	"strings"
)

// around is how many equal lines are shown beside those that differ.
const around = 3

// edit is one line of a comparison: ' ' is in both, '-' only before, '+' only after.
type edit struct {
	sign byte
	line string
}

// unifiedDiff writes how one text becomes another, as diff -u does; equal texts give nothing.
func unifiedDiff(name, before, after string) []string {
	edits := editsOf(linesOf(before), linesOf(after))
	var out []string
	for from := 0; from < len(edits); {
		first := nextChange(edits, from)
		if first < 0 {
			break
		}
		start, end := max(from, first-around), first+1
		for next := nextChange(edits, end); next >= 0 && next-end <= 2*around; next = nextChange(edits, end) {
			end = next + 1
		}
		end = min(len(edits), end+around)
		out = append(out, hunk(edits, start, end)...)
		from = end
	}
	if len(out) == 0 {
		return nil
	}
	return append([]string{"--- " + side(name, before), "+++ " + side(name, after)}, out...)
}

func side(name, text string) string {
	if text == "" {
		return "/dev/null"
	}
	return name
}

func linesOf(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

func nextChange(edits []edit, from int) int {
	for i := from; i < len(edits); i++ {
		if edits[i].sign != ' ' {
			return i
		}
	}
	return -1
}

func hunk(edits []edit, start, end int) []string {
	a, b := 1, 1
	for _, e := range edits[:start] {
		if e.sign != '+' {
			a++
		}
		if e.sign != '-' {
			b++
		}
	}
	var na, nb int
	var lines []string
	for _, e := range edits[start:end] {
		if e.sign != '+' {
			na++
		}
		if e.sign != '-' {
			nb++
		}
		lines = append(lines, string(e.sign)+e.line)
	}
	if na == 0 {
		a--
	}
	if nb == 0 {
		b--
	}
	return append([]string{fmt.Sprintf("@@ -%d,%d +%d,%d @@", a, na, b, nb)}, lines...)
}

// mostCells bounds the table of the comparison; larger texts are told apart only by what they begin and end with.
const mostCells = 4_000_000

// editsOf finds the fewest lines to take away and to add.
func editsOf(a, b []string) []edit {
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	var out []edit
	out = keep(out, ' ', a[:head])
	out = append(out, middle(a[head:len(a)-tail], b[head:len(b)-tail])...)
	return keep(out, ' ', a[len(a)-tail:])
}

func keep(out []edit, sign byte, lines []string) []edit {
	for _, l := range lines {
		out = append(out, edit{sign, l})
	}
	return out
}

// middle compares by the longest common subsequence.
func middle(a, b []string) []edit {
	if len(a)*len(b) > mostCells {
		return keep(keep(nil, '-', a), '+', b)
	}
	// common[i][j] is the length of the longest common subsequence of a[i:] and b[j:].
	common := make([][]int32, len(a)+1)
	for i := range common {
		common[i] = make([]int32, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var out []edit
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		switch {
		case a[i] == b[j]:
			out = append(out, edit{' ', a[i]})
			i++
			j++
		case common[i+1][j] >= common[i][j+1]:
			out = append(out, edit{'-', a[i]})
			i++
		default:
			out = append(out, edit{'+', b[j]})
			j++
		}
	}
	return keep(keep(out, '-', a[i:]), '+', b[j:])
}

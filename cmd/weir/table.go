package main

import (
	"math"
	"slices"
	"strings"

	"charm.land/lipgloss/v2"
)

// column is one of a table.
type column struct {
	title string
	// right aligns numbers.
	right bool
	// shrinks says that the column may be cut when the screen is too narrow.
	shrinks bool
	// folds says that what does not fit goes on below: reasons that nobody would understand half of. Only the last does.
	folds bool
	// optional says that it may be left out before others are cut to little.
	optional bool
	// restless cells change all the time: a watch does not print a row again because of them.
	restless bool
}

// cell is one place of a table.
type cell struct {
	text string
	tone tone
}

func words(texts ...string) []cell {
	list := make([]cell, len(texts))
	for i, t := range texts {
		list[i] = cell{text: t}
	}
	return list
}

// table is rows below a head. On a terminal it is cut to fit; elsewhere every cell is whole.
type table struct {
	columns []column
	rows    [][]cell
	// widths are kept from one printing to the next, so that rows that come later stay below their head.
	widths []int
}

const (
	gap = 2
	// fairCell is how narrow a cell gets before optional columns are left out, leastCell after that.
	fairCell  = 22
	leastCell = 8
	// foldRoom is how much more a column has that folds.
	foldRoom = 12
	leftOut  = -1
)

func (t *table) add(row []cell) {
	for i := range row {
		if row[i].text = oneLine(row[i].text); row[i].text == "" {
			row[i] = cell{"–", faint}
		}
	}
	t.rows = append(t.rows, row)
}

// print writes the head and the rows; a table without rows writes nothing.
func (t *table) print(s *screen) {
	if len(t.rows) == 0 {
		return
	}
	t.fit(s.width)
	head := make([]cell, len(t.columns))
	for i, c := range t.columns {
		head[i] = cell{c.title, faint}
	}
	s.line(t.row(s, head))
	t.printRows(s)
}

// printRows writes the rows under a head that was written before, and forgets them.
func (t *table) printRows(s *screen) {
	for _, row := range t.rows {
		s.line(t.row(s, row))
	}
	t.rows = nil
}

// fit gives the columns their widths: what can be cut is, down to what is fair; then optional columns are left
// out, the last first; and what is then still too wide is cut further.
func (t *table) fit(width int) {
	t.widths = make([]int, len(t.columns))
	for i, c := range t.columns {
		t.widths[i] = lipgloss.Width(c.title)
		for _, row := range t.rows {
			t.widths[i] = max(t.widths[i], lipgloss.Width(row[i].text))
		}
	}
	if width == 0 {
		return
	}
	whole := slices.Clone(t.widths)
	for i := len(t.columns); !t.shrink(width, fairCell); {
		for i--; i >= 0 && !t.columns[i].optional; i-- {
		}
		if i < 0 {
			break
		}
		whole[i] = leftOut
		copy(t.widths, whole)
	}
	t.shrink(width, leastCell)
}

// shrink cuts the widest columns that can be cut, and says whether the table fits.
func (t *table) shrink(width, least int) bool {
	for t.total() > width {
		widest := leftOut
		for i, c := range t.columns {
			if t.widths[i] > c.least(least) && (widest < 0 || t.widths[i] > t.widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return false
		}
		t.widths[widest]--
	}
	return true
}

// least is how narrow a column may get where others get so narrow.
func (c column) least(others int) int {
	switch {
	case c.folds:
		return max(others+foldRoom, lipgloss.Width(c.title))
	case c.shrinks:
		return max(others, lipgloss.Width(c.title))
	}
	return math.MaxInt
}

func (t *table) total() int {
	sum := -gap
	for _, w := range t.widths {
		if w != leftOut {
			sum += gap + w
		}
	}
	return sum
}

func (t *table) row(s *screen, row []cell) string {
	var b strings.Builder
	used := 0
	for i, c := range row {
		if t.widths[i] == leftOut {
			continue
		}
		text := c.text
		if t.columns[i].folds {
			text = strings.ReplaceAll(s.paint(c.tone, inLines(text, t.widths[i])), "\n", "\n"+strings.Repeat(" ", used+gap))
		}
		if s.width > 0 && !t.columns[i].folds {
			text = cut(text, t.widths[i])
		}
		pad := strings.Repeat(" ", max(0, t.widths[i]-lipgloss.Width(text)))
		if i > 0 {
			b.WriteString(strings.Repeat(" ", gap))
			used += gap
		}
		used += t.widths[i]
		switch {
		case t.columns[i].right:
			b.WriteString(pad + s.paint(c.tone, text))
		case i == len(row)-1:
			b.WriteString(s.paint(c.tone, text))
		default:
			b.WriteString(s.paint(c.tone, text) + pad)
		}
	}
	return strings.TrimRight(b.String(), " ")
}

package haproxy

import (
	"encoding/csv"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Counters are found by the names of their columns: in another order, among others, and beside columns of a HAProxy
// to come they are the same.
func TestCountersInAnyOrder(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("testdata", "answer", "*", "stat.txt"))
	if err != nil || len(files) == 0 {
		t.Fatal("no answers", err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		table, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(string(text), "# "))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for i := range table {
			table[i] = append(table[i], "x"+strconv.Itoa(i), "")
		}
		table[0][len(table[0])-2] = "a column of tomorrow"
		// Numbers where HAProxy counts nothing yet, so that none can be taken for another.
		for col, head := range table[0] {
			if at := slices.Index(counterColumns[:], head); at >= 0 {
				for row := range table[1:] {
					table[row+1][col] = strconv.Itoa(1000*row + at + 1)
				}
			}
		}
		random := rand.New(rand.NewPCG(1, 2))
		for range 20 {
			rows, err := ParseCounters("# " + written(t, table))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			at := 0
			for i, line := range table[1:] {
				if line[slices.Index(table[0], "type")] == "3" {
					continue
				}
				if rows[at].Proxy != line[slices.Index(table[0], "pxname")] {
					t.Fatalf("%s: row %d is %+v", name, i, rows[at])
				}
				for c, n := range rows[at].Counters {
					want := uint64(1000*i + c + 1)
					if Counter(c) == TLSHandshakes {
						want += uint64(1000*i) + uint64(TLSResumed) + 1 // HAProxy counts them apart
					}
					if n != want {
						t.Fatalf("%s: row %d: %s is %d, want %d", name, i, Counter(c), n, want)
					}
				}
				at++
			}
			order := random.Perm(len(table[0]))
			for i, line := range table {
				mixed := make([]string, len(line))
				for j, k := range order {
					mixed[j] = line[k]
				}
				table[i] = mixed
			}
		}
	}
}

func written(t *testing.T, table [][]string) string {
	t.Helper()
	var b strings.Builder
	w := csv.NewWriter(&b)
	if err := w.WriteAll(table); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestCountersThatCannotBe(t *testing.T) {
	t.Parallel()
	const head = "# pxname,svname,type,scur,qcur,stot\n"
	for text, want := range map[string]string{
		"":                                      "names of the columns",
		"# pxname,svname,scur,qcur\n":           "no column type",
		head + "a,BACKEND,1,0,0\n":              "wrong number of fields",
		head + "a,BACKEND,1,0,0,-1\n":           "stot: want a number",
		head + "a,BACKEND,7,0,0,1\n":            "unknown",
		"# type,type,pxname,svname,scur,qcur\n": "stands twice",
	} {
		_, err := ParseCounters(text)
		if wrong := (*AnswerError)(nil); !errors.As(err, &wrong) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	rows, err := ParseCounters(head + "a,BACKEND,1,2,3,18446744073709551615\n")
	if err != nil || len(rows) != 1 || rows[0].Counters[Sessions] != 1<<64-1 || rows[0].Counters[Requests] != 0 || rows[0].Open != 2 || rows[0].Queued != 3 {
		t.Errorf("%+v, %v", rows, err)
	}
}

func FuzzParseCounters(f *testing.F) {
	fuzzAnswer(f, ParseCounters, func(t *testing.T, _ string, v []CounterRow) {
		for _, r := range v {
			if r.Proxy == "" || r.Service == "" || r.Type < 0 || r.Type >= StatListener {
				t.Fatalf("%+v", r)
			}
		}
	})
}

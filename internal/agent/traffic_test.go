package agent

import (
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"weir/internal/accesslog"
	"weir/internal/weirtest"
)

func openCounting(t *testing.T, dir string) *Agent {
	t.Helper()
	r, err := accesslog.Listen("127.0.0.1:0", accesslog.NewToken())
	if err != nil {
		t.Fatal(err)
	}
	a := &Agent{opts: Options{Dir: dir}, log: slog.New(slog.DiscardHandler), receiver: r}
	a.resumeCounts()
	return a
}

// What the log had counted goes on with the next agent when the one before ended in good order, once; after one that was
// killed, or when what was kept can't be read, it begins anew and says so by its since.
func TestLogCountersGoOn(t *testing.T) {
	t.Parallel()
	dir := weirtest.TempDir(t)
	first := openCounting(t, dir)
	counted := accesslog.Counts{
		Since: time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC), Lines: 7, Lost: 2, Series: []accesslog.Series{{Key: accesslog.Key{Site: "www", Pool: "web", Zone: "az1"}, Retries: 3}},
		Limited: []accesslog.Limited{{Site: "www", RateLimit: "edge", Soft: 5}}, Diverted: []accesslog.Diverted{{Site: "www", Split: "new", Backend: "b", Diverts: 4}},
	}
	first.receiver.Resume(counted)
	if err := first.receiver.Close(); err != nil {
		t.Fatal(err)
	}
	first.keepCounts()
	second := openCounting(t, dir)
	if got := second.Counts(); !reflect.DeepEqual(got, counted) {
		t.Errorf("%+v, want %+v", got, counted)
	}
	killed := openCounting(t, dir) // nothing was kept since
	if got := killed.Counts(); got.Lines != 0 || len(got.Series) != 0 || !got.Since.After(counted.Since) {
		t.Errorf("after a kill: %+v", got)
	}
	for _, text := range []string{"{", `{"lines":5}`} {
		path := filepath.Join(dir, countsFile)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := openCounting(t, dir).Counts(); got.Lines != 0 {
			t.Errorf("%s: %+v", text, got)
		}
		if _, err := os.Stat(path); err == nil {
			t.Error("what can't be used stays")
		}
	}
}

// A report holds a table of rows and all else, which together are what was counted; while nothing moves it is the same one.
func TestTrafficOfReports(t *testing.T) {
	t.Parallel()
	c := accesslog.Counts{Since: time.Unix(1, 0).UTC(), Lines: 9, Series: []accesslog.Series{{Key: accesslog.Key{Site: "api"}, Retries: 1}, {Key: accesslog.Key{Site: "www", Pool: "web", Zone: "az1"}, Retries: 3}}}
	var tr traffic
	rest, table, _ := tr.take(c, slog.New(slog.DiscardHandler))
	if strings.Contains(string(rest), "www") || len(table.Rows) != 2 || !table.Since.Equal(c.Since) {
		t.Errorf("%s, %+v", rest, table)
	}
	if whole := string(wholeOf(rest, table)()); !strings.Contains(whole, `"lines":9`) || !strings.Contains(whole, `"site":"www"`) || !strings.Contains(whole, `"retries":3`) {
		t.Error(whole)
	}
	if _, again, _ := tr.take(c, slog.New(slog.DiscardHandler)); again != table {
		t.Error("nothing has moved, and there is another table")
	}
	c.Series = append([]accesslog.Series(nil), c.Series...)
	c.Series[1].Retries++
	_, next, _ := tr.take(c, slog.New(slog.DiscardHandler))
	if next == table || &next.Rows["api//"][0] != &table.Rows["api//"][0] || string(next.Rows["www/web/az1"]) == string(table.Rows["www/web/az1"]) {
		t.Errorf("%+v", next)
	}
	c.Calls = []accesslog.Call{{CallKey: accesslog.CallKey{Site: "out", Client: "myback", Service: "example.prod.www", SLA: "high"}, Retries: 2}}
	rest, _, calls := tr.take(c, slog.New(slog.DiscardHandler))
	if row := string(calls.Rows["out/myback/example.prod.www/high"]); row == "" || strings.Contains(string(rest), "myback") {
		t.Errorf("calls: %+v, %s", calls, rest)
	}
	if _, _, again := tr.take(c, slog.New(slog.DiscardHandler)); again != calls {
		t.Error("no call was made, and there is another table")
	}
}

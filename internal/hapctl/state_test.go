package hapctl

import (
	"os"
	"path/filepath"
	"testing"

	"weir/internal/haproxy"
	"weir/internal/weirtest"
)

func TestDumpServersState(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := startLab(t, h, twoServers)
		l.do("set weight b/s1 33")
		file := filepath.Join(l.dir, "state")
		if err := l.c.DumpServersState(bounded(t), file); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		states, err := haproxy.ParseServersState(string(text))
		if err != nil || len(states) != 2 || states[0].Weight != 33 {
			t.Errorf("%+v, %v", states, err)
		}
		names, err := filepath.Glob(filepath.Join(l.dir, ".state*"))
		if err != nil || len(names) != 0 {
			t.Errorf("left over: %v, %v", names, err)
		}
		l.reload()
		if w := l.server("b", "s1").Weight; w != 33 {
			t.Errorf("weight after reload = %d", w)
		}
		if err := l.c.DumpServersState(bounded(t), filepath.Join(l.dir, "no", "state")); err == nil {
			t.Error("a folder that is not there passed")
		}
	})
}

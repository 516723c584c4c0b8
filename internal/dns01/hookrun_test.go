package dns01

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/internal/weirtest"
)

// A program gets what is documented, and nothing else of this process.
func TestWhatAProgramGets(t *testing.T) {
	t.Parallel()
	// A file of which Go knows nothing, as one that this process was started with.
	open, err := os.Create(filepath.Join(weirtest.TempDir(t), "leaked"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = open.Close() })
	leaked, err := syscall.Dup(int(open.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(leaked) })
	out := filepath.Join(weirtest.TempDir(t), "out")
	h, _ := hooksOf(t, map[string]string{"dns": `
{ env; pwd; ls -l /proc/self/fd | sed 1d | sed 's/.* \([0-9]* -> \)/fd \1/'; echo "group $(cut -d' ' -f5 /proc/$$/stat) is $$"; echo "args $#"; read -r x || echo nothing to read; } >>` + out + "\n"}, nil)
	s := hook(t, h, "dns")
	r := Record{"*.Shop.example.com", "val-ue_1"}
	if err := s.Present(long(t), r); err != nil {
		t.Fatal(err)
	}
	if err := s.Clean(long(t), r); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	text := string(got)
	for _, want := range []string{
		"WEIR_CHALLENGE_ACTION=present\n", "WEIR_CHALLENGE_ACTION=clean\n", "WEIR_CHALLENGE_NAME=shop.example.com\n",
		"WEIR_CHALLENGE_RECORD=_acme-challenge.shop.example.com.\n", "WEIR_CHALLENGE_VALUE=val-ue_1\n", "\n/\n", "args 0\n", "nothing to read\n", "fd 0 -> /dev/null\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing", want)
		}
	}
	for line := range strings.Lines(text) {
		var a, b int
		if n, _ := fmt.Sscanf(line, "group %d is %d", &a, &b); n == 2 && a != b {
			t.Errorf("the program is in another group: %s", line)
		}
		// The folder is the one that ls lists.
		if n, _ := fmt.Sscanf(line, "fd %d", &a); n == 1 && a > 2 && !strings.Contains(line, " /proc/") {
			t.Errorf("a file of this process is open in the program: %s", line)
		}
		if name, _, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(name, "WEIR_CHALLENGE_") && name != "PATH" && name != "PWD" && name != "_" && name != "SHLVL" && name != "OLDPWD" {
			t.Errorf("the environment holds %s", line)
		}
	}
}

func TestProgramsThatFail(t *testing.T) {
	t.Parallel()
	h, _ := hooksOf(t, map[string]string{
		"fails":   "echo out; printf 'zone \\033[31mlocked\\033[0m\\r\\n\\ttry later\\n' >&2; exit 3",
		"silent":  "exit 1",
		"killed":  "kill -9 $$",
		"huge":    "head -c 20000000 /dev/zero | tr '\\0' x; echo the end; exit 1",
		"bad":     "exit 0",
		"invalid": "printf '\\377\\376'; exit 1",
	}, nil)
	writeProgram(t, filepath.Join(h.folder, "bad"), "", 0o755)
	if err := os.WriteFile(filepath.Join(h.folder, "bad"), []byte("#!/nowhere/shell\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for program, want := range map[string]string{
		"fails":   "run the challenge program fails to present the record of www.example.com: exit status 3; it wrote: out | zone �[31mlocked�[0m | try later",
		"silent":  "exit status 1; it wrote nothing",
		"killed":  "signal: killed; it wrote nothing",
		"huge":    "it wrote: …xxx",
		"bad":     "it can't be started (is its first line right?): no such file or directory",
		"invalid": "it wrote: �",
	} {
		err := hook(t, h, program).Present(long(t), Record{"www.example.com", "v"})
		wantError(t, program, err, want)
		if err != nil && (len(err.Error()) > 1000 || strings.ContainsAny(err.Error(), "\n\r\x1b")) {
			t.Errorf("%s: %q is long, or has more than one line", program, err)
		}
	}
	wantError(t, "huge", hook(t, h, "huge").Present(long(t), Record{"www.example.com", "v"}), "xxxthe end")
}

func TestOutputIsBounded(t *testing.T) {
	t.Parallel()
	h, folder := hooksOf(t, map[string]string{"huge": "head -c 1000000 /dev/zero | tr '\\0' x; echo end"}, nil)
	said, err := execute(long(t), filepath.Join(folder, "huge"), environment("present", Record{"www.example.com", "v"}))
	if err != nil || len(said) != mostOutput || !bytes.HasSuffix(said, []byte("xend\n")) {
		t.Errorf("%d bytes were kept: %v", len(said), err)
	}
	_ = h
}

// Whatever a program leaves behind in its group is killed, when it ends and when its time is over.
func TestProgramsThatDoNotEnd(t *testing.T) {
	t.Parallel()
	dir := weirtest.TempDir(t)
	pids := filepath.Join(dir, "pids")
	note := "echo $$ >>" + pids + "\n"
	// Each child notes itself and makes two more; there are 63 that don't end.
	tree := note + `n=${1:-5}; if [ "$n" -gt 0 ]; then sh ` + filepath.Join(dir, "tree") + ` $((n-1)) & sh ` + filepath.Join(dir, "tree") + ` $((n-1)) & fi` + "\n"
	writeProgram(t, filepath.Join(dir, "tree"), tree+"sleep 1000", 0o755)
	h, _ := hooksOf(t, map[string]string{
		"hangs":   note + "echo waits for something; sleep 1000",
		"deaf":    note + "trap '' TERM INT HUP; while :; do sleep 1000; done",
		"leaves":  note + "sleep 1000 & echo $! >>" + pids + "; echo done",
		"bomb":    note + "sh " + filepath.Join(dir, "tree") + " & sleep 1000",
		"outlast": note + "sh " + filepath.Join(dir, "tree") + " & while [ $(wc -l <" + pids + ") -lt 10 ]; do :; done",
	}, func(o *HookOptions) { o.Timeout = 2 * time.Second })
	programs := []string{"hangs", "deaf", "bomb"}
	err := each(len(programs), func(i int) error {
		err := hook(t, h, programs[i]).Present(long(t), Record{"www.example.com", "v"})
		wantError(t, programs[i], err, "run the challenge program "+programs[i], "not done after 2s, killed: context deadline exceeded; it wrote")
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		text, _ := os.ReadFile(pids)
		for pid := range strings.FieldsSeq(string(text)) {
			if n, err := strconv.Atoi(pid); err == nil && gone(pid) != nil {
				_ = syscall.Kill(n, syscall.SIGKILL)
			}
		}
	})
	patient := &Hooks{folder: h.folder, timeout: time.Minute, slots: make(chan struct{}, 1)}
	for _, program := range []string{"leaves", "outlast"} {
		if err := hook(t, patient, program).Present(long(t), Record{"www.example.com", "v"}); err != nil {
			t.Errorf("%s: %v", program, err)
		}
	}
	text, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Fields(string(text))
	if len(all) < 10 {
		t.Errorf("only %d processes were made", len(all))
	}
	for _, pid := range all {
		weirtest.Eventually(t, weirtest.Patience, func() error { return gone(pid) })
	}
}

// gone is nil when a process has ended; a zombie has.
func gone(pid string) error {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return nil
	}
	if _, after, _ := strings.Cut(string(stat), ") "); strings.HasPrefix(after, "Z") {
		return nil
	}
	return fmt.Errorf("still there: %s", stat)
}

// What has left the group can't be killed with it, but holds nobody up.
func TestProgramThatLeavesItsGroup(t *testing.T) {
	t.Parallel()
	pid := filepath.Join(weirtest.TempDir(t), "pid")
	h, _ := hooksOf(t, map[string]string{"daemon": "setsid sh -c 'echo $$ >" + pid + "; sleep 1000' & while [ ! -s " + pid + " ]; do :; done; echo started"}, nil)
	if err := hook(t, h, "daemon").Present(long(t), Record{"www.example.com", "v"}); err != nil {
		t.Error(err)
	}
	text, err := os.ReadFile(pid)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(-n, syscall.SIGKILL); err != nil {
		t.Errorf("it is gone already: %v", err)
	}
}

func TestProgramsAtOnce(t *testing.T) {
	t.Parallel()
	dir := weirtest.TempDir(t)
	// A program notes that it runs, counts those that do, and waits for a word to end.
	if err := syscall.Mkfifo(filepath.Join(dir, "go"), 0o600); err != nil {
		t.Fatal(err)
	}
	h, _ := hooksOf(t, map[string]string{"waits": "echo x >>" + dir + "/begun; read -r _ <" + dir + "/go; exit 0"}, func(o *HookOptions) { o.AtOnce = 3 })
	s := hook(t, h, "waits")
	const many = 5
	done := make(chan error, many)
	for range many {
		go func() { done <- s.Present(long(t), Record{"www.example.com", "v"}) }()
	}
	begun := func() int {
		text, _ := os.ReadFile(filepath.Join(dir, "begun"))
		return strings.Count(string(text), "x")
	}
	weirtest.Eventually(t, weirtest.Patience, func() error {
		if n := begun(); n != 3 {
			return fmt.Errorf("%d have begun", n)
		}
		return nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantError(t, "queue", s.Present(ctx, Record{"www.example.com", "v"}), "3 others run and none ended")
	if n := begun(); n != 3 {
		t.Errorf("%d run at once, want 3", n)
	}
	// Held open, so that each word is for one reader and no reader sees an end.
	words, err := os.OpenFile(filepath.Join(dir, "go"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = words.Close() })
	if _, err := words.WriteString(strings.Repeat("\n", many)); err != nil {
		t.Fatal(err)
	}
	for range many {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if n := begun(); n != many {
		t.Errorf("%d ran, want %d", n, many)
	}
}

// A program's record is proven as one of an update is.
func TestProgramsRecordIsProven(t *testing.T) {
	t.Parallel()
	k := startKnot(t)
	h, _ := hooksOf(t, map[string]string{"dns": "exit 0"}, nil)
	s, err := h.Solver("dns", Proof{Resolvers: []string{k.Addr}})
	if err != nil {
		t.Fatal(err)
	}
	s.prover.view.port = weirtest.KnotPort
	r := Record{"alias.example.test", "v"}
	if err := s.Present(long(t), r); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	wantError(t, "nothing there", s.Wait(ctx, r), "wait for TXT alias.acme.test. in the zone acme.test.: 2 of 2 addresses are behind")
	if err := newUpdater(t, k, nil).Present(long(t), r); err != nil {
		t.Fatal(err)
	}
	k.Notify("acme.test.")
	if err := s.Wait(long(t), r); err != nil {
		t.Error(err)
	}
	if _, err := h.Solver("dns", Proof{Servers: []string{"not a server"}}); err == nil {
		t.Error("a server with blanks passed")
	}
}

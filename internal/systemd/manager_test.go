package systemd

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// notified listens as systemd does, and gives the next message and the files that came with it.
func notified(t *testing.T) (address string, next func() (string, []int)) {
	t.Helper()
	address = filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return address, func() (string, []int) {
		t.Helper()
		text, more := make([]byte, 4096), make([]byte, 4096)
		n, extra, _, _, err := conn.ReadMsgUnix(text, more)
		if err != nil {
			t.Fatal(err)
		}
		var files []int
		messages, err := unix.ParseSocketControlMessage(more[:extra])
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range messages {
			list, err := unix.ParseUnixRights(&m)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, list...)
		}
		return string(text[:n]), files
	}
}

// TestFilesOutliveTheProcess: what is left with the manager is there under its name in the process that comes next, and
// nothing of it in those that this one starts.
func TestFilesOutliveTheProcess(t *testing.T) {
	address, next := notified(t)
	t.Setenv("NOTIFY_SOCKET", address)
	m := FromEnvironment()
	if os.Getenv("NOTIFY_SOCKET") != "" {
		t.Error("programs of this process would speak with the manager")
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := write.WriteString("from before"); err != nil {
		t.Fatal(err)
	}
	_ = write.Close()
	if err := m.Keep("log", int(read.Fd())); err != nil {
		t.Fatal(err)
	}
	_ = read.Close()
	if text, files := next(); text != "FDSTOREREMOVE=1\nFDNAME=log" || len(files) > 0 {
		t.Errorf("%q with %v", text, files)
	}
	text, files := next()
	if text != "FDSTORE=1\nFDPOLL=0\nFDNAME=log" || len(files) != 1 {
		t.Fatalf("%q with %v", text, files)
	}
	m.Tell("READY=1", "STATUS=well")
	if text, _ := next(); text != "READY=1\nSTATUS=well" {
		t.Errorf("%q", text)
	}
	kept := os.NewFile(uintptr(files[0]), "kept")
	defer func() { _ = kept.Close() }()
	for pid, want := range map[string]string{"$$": "from before; its programs have none", "1": "nothing"} {
		child := exec.CommandContext(t.Context(), "sh", "-c", "LISTEN_PID="+pid+` exec "$0" -test.run TestTheNextProcess`, os.Args[0])
		child.Env = append(os.Environ(), "WEIR_TEST_NEXT=1", "LISTEN_FDS=2", "LISTEN_FDNAMES=log:log")
		child.ExtraFiles = []*os.File{kept, kept}
		out, err := child.Output()
		if err != nil || !strings.Contains(string(out), "found "+want+"\n") {
			t.Errorf("as LISTEN_PID=%s: %q, %v; want %q", pid, out, err, want)
		}
	}
}

// TestTheNextProcess is what TestFilesOutliveTheProcess starts.
func TestTheNextProcess(t *testing.T) {
	if os.Getenv("WEIR_TEST_NEXT") == "" {
		return
	}
	m := FromEnvironment()
	fd, ok := m.Take("log")
	if _, again := m.Take("log"); again {
		t.Error("it is given twice")
	}
	if !ok {
		fmt.Println("found nothing")
		return
	}
	text := make([]byte, 100)
	n, err := unix.Read(fd, text)
	if err != nil {
		t.Fatal(err)
	}
	programs := "; its programs have none"
	if out, err := exec.CommandContext(t.Context(), "sh", "-c", `ls /proc/self/fd/3 /proc/self/fd/4 2>/dev/null; echo "$LISTEN_FDS$LISTEN_PID"`).Output(); err != nil || string(out) != "\n" {
		programs = fmt.Sprintf("; its programs have %q", out)
	}
	fmt.Println("found " + string(text[:n]) + programs)
}

// TestNobodyStartedIt: without a manager nothing is told and nothing fails.
func TestNobodyStartedIt(t *testing.T) {
	t.Parallel()
	for _, m := range []*Manager{nil, New("", nil)} {
		m.Tell("READY=1")
		if err := m.Keep("log", 0); err != nil {
			t.Error(err)
		}
		if _, ok := m.Take("log"); ok {
			t.Error("there is a file")
		}
	}
	away := &Manager{socket: filepath.Join(t.TempDir(), "none")}
	away.Tell("READY=1")
	if err := away.Keep("log", 0); err == nil {
		t.Error("that nobody keeps the file is not said")
	}
}

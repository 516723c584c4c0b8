package hapctl

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	keptLines  = 200
	maxLogLine = 4 << 10 // bytes; the rest of a longer line is dropped
	queuedLogs = 500     // lines that wait for a slow logger; more are dropped and counted
	pipeSize   = 1 << 20 // bytes that wait for this program, when the system allows
	readAtOnce = 64 << 10
	lineNap    = 10 * time.Millisecond // after all that was there has been read
)

// stderr passes on what HAProxy writes, and remembers the end of it. It always reads, however slow the logger is;
// and when this program itself stands still, HAProxy loses lines instead of standing still before a full pipe.
type stderr struct {
	log         *slog.Logger
	queue       chan string
	dropped     atomic.Int64
	read, write *os.File
	ended       chan struct{} // closed when there is nothing more to read
	mu          sync.Mutex
	lines       []string
}

func newStderr(log *slog.Logger) (*stderr, error) {
	// Not os.Pipe: the kernel would wake Go's poller at every line, and that waking is work of HAProxy.
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("pipe2", err)
	}
	return &stderr{
		log: log, read: os.NewFile(uintptr(ends[0]), "haproxy's words"), write: os.NewFile(uintptr(ends[1]), "haproxy's stderr"),
		ended: make(chan struct{}), queue: make(chan string, queuedLogs),
	}, nil
}

// abandon is for when nothing was started.
func (s *stderr) abandon() {
	s.read.Close()
	s.write.Close()
}

// unblock lets who writes go on when the pipe is full. It is for when the writer was started, since starting one
// makes the pipe block again.
func (s *stderr) unblock() {
	raw, err := s.write.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, pipeSize)
		_ = unix.SetNonblock(int(fd), true)
	})
}

// started leaves the writing end to HAProxy; reading ends with the last of its processes.
func (s *stderr) started() {
	s.unblock()
	s.write.Close()
	go s.pass()
	go func() {
		defer close(s.ended)
		defer close(s.queue)
		defer s.read.Close()
		r := bufio.NewReaderSize(&unhurried{from: s.read}, readAtOnce)
		for {
			line, err := r.ReadSlice('\n')
			text := string(line[:min(len(line), maxLogLine)])
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = r.ReadSlice('\n')
			}
			if len(text) > 0 {
				s.keep(text)
			}
			if err != nil {
				return // the end, or as good as that
			}
		}
	}()
}

// unhurried reads what has come together: hundreds of lines may come at once, and to be woken for each costs more than
// all else about them.
type unhurried struct {
	from  io.Reader
	empty bool // the last read took all there was
}

func (u *unhurried) Read(space []byte) (int, error) {
	if u.empty {
		time.Sleep(lineNap)
	}
	n, err := u.from.Read(space)
	u.empty = n < len(space)
	return n, err
}

func (s *stderr) keep(line string) {
	if line[len(line)-1] == '\n' {
		line = line[:len(line)-1]
	}
	s.mu.Lock()
	s.lines = append(s.lines, line)
	if over := len(s.lines) - keptLines; over > 0 {
		s.lines = slices.Delete(s.lines, 0, over)
	}
	s.mu.Unlock()
	// There is one for each of hundreds of servers that come together: who does not log them need not take them apart.
	if manyAtOnce(line) && !s.log.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	select {
	case s.queue <- line:
	default:
		s.dropped.Add(1)
	}
}

// manyAtOnce finds, at little cost, what everyday finds among the lines that come by the hundred.
func manyAtOnce(line string) bool {
	_, text, _ := strings.Cut(line, ") : ")
	switch {
	case strings.HasPrefix(text, "Server "):
		_, text, _ = strings.Cut(text, " is ")
		return strings.HasPrefix(text, "UP") || strings.HasPrefix(text, "DOWN/READY (leaving ") || strings.HasPrefix(text, "going DOWN for maintenance")
	case strings.HasPrefix(text, "CLI : "):
		return strings.HasSuffix(text, " : New server registered.") || strings.HasSuffix(text, "Server deleted.")
	}
	return false
}

// pass logs line by line, and how many lines it has missed.
func (s *stderr) pass() {
	for line := range s.queue {
		for _, l := range ParseLogLines([]string{line}) {
			s.log.Log(context.Background(), slogLevel(l), l.Text, "from", "haproxy")
		}
		if n := s.dropped.Swap(0); n > 0 {
			s.log.Warn("haproxy wrote more than could be logged", "lines", n)
		}
	}
}

// everyday finds what every reload or start says when all is well, and what commands on the run-time socket did: some of
// it HAProxy calls a warning, and says once for every backend or server. Who sent a command has its answer; what other
// hands did is found by looking.
var everyday = regexp.MustCompile(`^(?:Proxy \S+ stopped \(|Former worker \(\d+\) exited with code 0 |` +
	`Server \S+ is (?:UP\b|DOWN/READY \(leaving |going DOWN for maintenance)|` +
	`(?:CLI : (?:'server \S+' : )?)?(?:New (?:server|backend) registered|(?:Server|Backend) (?:deleted|published|unpublished))\.|` +
	`(?:config: )?Empty global server state file |haproxy version is |path to executable is )`)

func slogLevel(l LogLine) slog.Level {
	switch {
	case everyday.MatchString(l.Text):
		return slog.LevelDebug
	case l.Level == "ALERT", l.Level == "EMERG", l.Level == "CRIT", l.Level == "ERROR":
		return slog.LevelError
	case l.Level == "WARNING":
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// rest waits for what HAProxy wrote before it ended, which may come a little later than its end.
func (s *stderr) rest() []string {
	select {
	case <-s.ended:
	case <-time.After(time.Second): // a process that it left behind may still hold the other end
	}
	return s.all()
}

// all gives the lines that are remembered.
func (s *stderr) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.lines)
}

// Package hapctl drives a real HAProxy: starts, checks and reloads it, and speaks to its run-time socket.
package hapctl

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
)

// MaxCommand is the most bytes that a command may have with its payload and its end mark. HAProxy reads a
// command into a buffer of tune.bufsize, 16,384 bytes by default; beyond it 3.2 refuses and 3.4 may cut a
// payload short without a word.
const MaxCommand = 16<<10 - 256

// Command is one run-time command, safe to send: its words can't end it, nor start another one.
// The zero value is not a command.
type Command struct {
	words   []string
	secret  int // how many words at the end are never shown
	payload string
	paid    bool // has a payload, though maybe an empty one
}

// NewCommand makes a command of words, each of which HAProxy will read as one word, whatever it holds.
// Empty words and those with control characters can't be sent and are refused.
func NewCommand(words ...string) (Command, error) {
	if len(words) == 0 {
		return Command{}, errors.New("make run-time command: no words")
	}
	if err := checkWords(words); err != nil {
		return Command{}, err
	}
	return Command{words: append([]string(nil), words...)}, nil
}

func checkWords(words []string) error {
	for i, w := range words {
		if _, err := Escape(w); err != nil {
			return fmt.Errorf("make run-time command %q: word %d: %w", words[0], i+1, err)
		}
	}
	return nil
}

// Escape writes a word so that HAProxy's command line reads it as one word. It is the only way by which
// words come into a command.
func Escape(word string) (string, error) {
	if word == "" {
		return "", errors.New("an empty word can't be sent")
	}
	plain := true
	for i := range len(word) {
		c := word[i]
		plain = plain && c > ' ' && c != 0x7f && c != '\\' && c != ';' && c != '<'
	}
	if plain {
		return word, nil
	}
	var b strings.Builder
	for i := range len(word) {
		c := word[i]
		switch c {
		// "<" because "<<" in front of the last word would begin a payload.
		case '\\', ' ', ';', '<':
			b.WriteByte('\\')
		default:
			if c < ' ' || c == 0x7f {
				return "", fmt.Errorf("control character %#02x at byte %d can't be sent", c, i)
			}
		}
		b.WriteByte(c)
	}
	return b.String(), nil
}

// WithSecret adds words that are sent like the others but never shown, neither by String nor in errors.
func (c Command) WithSecret(words ...string) (Command, error) {
	if err := checkWords(words); err != nil {
		return Command{}, fmt.Errorf("make run-time command %q: a secret word is empty or has a control character", c.words[0])
	}
	c.words = append(append([]string(nil), c.words...), words...)
	c.secret += len(words)
	return c, nil
}

// WithPayload adds lines that follow the command; they are never shown. An end mark that does not occur in
// them is chosen when the command is sent, so that they may hold anything but NUL.
func (c Command) WithPayload(payload string) (Command, error) {
	if strings.ContainsRune(payload, 0) {
		return Command{}, fmt.Errorf("make run-time command %q: the payload has a NUL byte", c.String())
	}
	c.payload, c.paid = payload, true
	return c, nil
}

// String shows the command without payload and secret words.
func (c Command) String() string {
	open := c.words[:len(c.words)-c.secret]
	s := strings.Join(open, " ") + strings.Repeat(" …", c.secret)
	if c.paid {
		s += fmt.Sprintf(" <<(%d bytes)", len(c.payload))
	}
	return s
}

// is tells whether the command begins with the words.
func (c Command) is(words ...string) bool {
	if len(c.words) < len(words) {
		return false
	}
	for i, w := range words {
		if c.words[i] != w {
			return false
		}
	}
	return true
}

// scrub takes the command's secret words out of a text.
func (c Command) scrub(text string) string {
	for _, w := range c.words[len(c.words)-c.secret:] {
		text = strings.ReplaceAll(text, w, "…")
	}
	return text
}

// TooLargeError says that a command does not fit into HAProxy's buffer and was not sent.
type TooLargeError struct {
	Command     string
	Size, Limit int // bytes
}

// Error gives the command and both sizes.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("send %q: %d bytes are more than HAProxy reads as one command (%d): split it", e.Command, e.Size, e.Limit)
}

// appendTo adds what goes over the wire to b.
func (c Command) appendTo(b []byte) ([]byte, error) {
	if len(c.words) == 0 {
		return b, errors.New("send run-time command: it has no words")
	}
	start := len(b)
	for i, w := range c.words {
		if i > 0 {
			b = append(b, ' ')
		}
		escaped, err := Escape(w)
		if err != nil {
			return b, err
		}
		b = append(b, escaped...)
	}
	if c.paid {
		mark := endMark(c.payload)
		b = append(append(append(b, " <<"...), mark...), '\n')
		b = append(b, c.payload...)
		if c.payload != "" && !strings.HasSuffix(c.payload, "\n") {
			b = append(b, '\n')
		}
		b = append(b, mark...)
	}
	b = append(b, '\n')
	if size := len(b) - start; size > MaxCommand {
		return b[:start], &TooLargeError{Command: c.String(), Size: size, Limit: MaxCommand}
	}
	return b, nil
}

// endMark makes a word that does not occur in the payload, and that nobody can foresee. HAProxy 3.2 knows
// no longer ones than 7 bytes.
func endMark(payload string) string {
	for {
		if mark := rand.Text()[:7]; !strings.Contains(payload, mark) {
			return mark
		}
	}
}

package kind

import (
	"fmt"
	"strings"
)

const (
	contextLines = 2
	maxHunkLines = 200     // of output, so that a rewritten script stays readable
	maxCells     = 4 << 20 // of the table that finds common lines
)

// hunks shows the lines that differ as a unified diff does: "-" gone, "+" new,
// two lines of context. Texts too long to match line by line are shown as
// replaced between their common ends.
func hunks(old, new string) string {
	lines := lineScript(strings.Split(old, "\n"), strings.Split(new, "\n"))
	var out []string
	for i := 0; i < len(lines); {
		if lines[i].op == ' ' {
			i++
			continue
		}
		start, end := max(0, i-contextLines), i
		for quiet := 0; end < len(lines) && quiet <= 2*contextLines; end++ {
			if quiet++; lines[end].op != ' ' {
				quiet = 0
			}
		}
		for end > i && lines[end-1].op == ' ' {
			end--
		}
		end = min(len(lines), end+contextLines)
		out = append(out, fmt.Sprintf("@@ -%d +%d @@", lines[start].old+1, lines[start].new+1))
		for _, l := range lines[start:end] {
			out = append(out, string(l.op)+l.text)
		}
		i = end
	}
	if extra := len(out) - maxHunkLines; extra > 0 {
		out = append(out[:maxHunkLines], fmt.Sprintf("… %d more lines", extra))
	}
	return strings.Join(out, "\n")
}

// line is a line of either text with its index in both.
type line struct {
	op       byte // ' ', '-' or '+'
	text     string
	old, new int
}

// lineScript lists the lines of both texts in the order of a diff.
func lineScript(a, b []string) []line {
	var out []line
	add := func(op byte, text string, i, j int) { out = append(out, line{op, text, i, j}) }
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		add(' ', a[head], head, head)
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	i, j := head, head
	endA, endB := len(a)-tail, len(b)-tail
	for _, common := range commonLines(a[head:endA], b[head:endB]) {
		for ; i < head+common[0]; i++ {
			add('-', a[i], i, j)
		}
		for ; j < head+common[1]; j++ {
			add('+', b[j], i, j)
		}
		add(' ', a[i], i, j)
		i, j = i+1, j+1
	}
	for ; i < endA; i++ {
		add('-', a[i], i, j)
	}
	for ; j < endB; j++ {
		add('+', b[j], i, j)
	}
	for ; i < len(a); i, j = i+1, j+1 {
		add(' ', a[i], i, j)
	}
	return out
}

// commonLines gives the indexes of a longest common subsequence; none where
// the table would be too big.
func commonLines(a, b []string) [][2]int {
	if len(a) == 0 || len(b) == 0 || len(a) > maxCells/len(b) {
		return nil
	}
	width := len(b) + 1
	longest := make([]int32, (len(a)+1)*width)
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			best := max(longest[(i+1)*width+j], longest[i*width+j+1])
			if a[i] == b[j] {
				best = longest[(i+1)*width+j+1] + 1
			}
			longest[i*width+j] = best
		}
	}
	var common [][2]int
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i] == b[j]:
			common = append(common, [2]int{i, j})
			i, j = i+1, j+1
		case longest[(i+1)*width+j] >= longest[i*width+j+1]:
			i++
		default:
			j++
		}
	}
	return common
}

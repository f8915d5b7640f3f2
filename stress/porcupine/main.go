// A second opinion on history files (stress/history.h): the checker Porcupine.
//
//	go run . FILE...
//
// Prints a line a file: its name and linearizable, not linearizable or undecided; or why it cannot be
// read.  The exit status is that of stress/check: 0, 1, or 2.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strconv"
	"time"

	"github.com/anishathalye/porcupine"
)

const timeout = 60 * time.Second

// operation is a line of a file.
type operation struct {
	Process int
	Op      string
	Key     *string
	Input   any
	Output  any
	Call    *int64
	Return  *int64
	Outcome string
}

// value of a key, in one spelling: "" is absent, "i..." an integer, "t..." a text.
type value string

func valueOf(field any) value {
	switch v := field.(type) {
	case json.Number:
		return value("i" + v.String())
	case string:
		if n, err := strconv.ParseInt(v, 10, 64); err == nil && strconv.FormatInt(n, 10) == v {
			return value("i" + v)
		}
		return value("t" + v)
	}
	return ""
}

// integer that a value is; an absent key counts as 0.
func (v value) integer() (int64, bool) {
	if v == "" {
		return 0, true
	}
	n, err := strconv.ParseInt(string(v[1:]), 10, 64)
	return n, err == nil && v[0] == 'i'
}

// step says whether an operation may take effect on a key that holds now, and what it holds then.
func step(now value, op operation) (bool, value) {
	known := op.Outcome != "unknown"
	switch op.Op {
	case "get":
		return !known || valueOf(op.Output) == now, now
	case "put":
		return true, valueOf(op.Input)
	case "delete":
		return !known || op.Output == (now != ""), ""
	case "pop":
		return !known || valueOf(op.Output) == now, ""
	case "add":
		if now != "" {
			return !known || op.Output == false, now
		}
		return !known || op.Output == true, valueOf(op.Input)
	case "cas":
		pair := op.Input.([]any)
		if now == "" || now != valueOf(pair[0]) {
			return !known || op.Output == false, now
		}
		return !known || op.Output == true, valueOf(pair[1])
	case "incr":
		n, integer := now.integer()
		if !integer {
			return !known, now
		}
		delta := int64(1)
		if op.Input != nil {
			delta, _ = valueOf(op.Input).integer()
		}
		sum := value("i" + strconv.FormatInt(n+delta, 10))
		return !known || valueOf(op.Output) == sum, sum
	}
	return false, now
}

var model = porcupine.Model{
	Init: func() any { return value("") },
	Step: func(state, input, _ any) (bool, any) {
		ok, after := step(state.(value), input.(operation))
		return ok, after
	},
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		keys := map[string][]porcupine.Operation{}
		for _, o := range history {
			key := *o.Input.(operation).Key
			keys[key] = append(keys[key], o)
		}
		var parts [][]porcupine.Operation
		for _, part := range keys {
			parts = append(parts, part)
		}
		return parts
	},
}

// wellFormed says what is wrong with a line, if anything is.
func wellFormed(op operation) error {
	pair, isPair := op.Input.([]any)
	_, isBool := op.Output.(bool)
	known := op.Outcome == "" || op.Outcome == "ok"
	_, integer := valueOf(op.Input).integer()
	switch {
	case op.Key == nil:
		return fmt.Errorf("no key")
	case !known && op.Outcome != "fail" && op.Outcome != "unknown":
		return fmt.Errorf("no such outcome")
	case op.Call == nil || *op.Call < 0:
		return fmt.Errorf("no call")
	case op.Outcome != "unknown" && (op.Return == nil || *op.Return < *op.Call):
		return fmt.Errorf("no return after the call")
	case op.Op == "cas" && (!isPair || len(pair) != 2):
		return fmt.Errorf("cas without [old, new]")
	case (op.Op == "delete" || op.Op == "add" || op.Op == "cas") && known && !isBool:
		return fmt.Errorf("%s without true or false", op.Op)
	case op.Op == "incr" && !integer:
		return fmt.Errorf("incr by no integer")
	}
	switch op.Op {
	case "get", "put", "delete", "pop", "add", "cas", "incr":
		return nil
	}
	return fmt.Errorf("no such op")
}

func read(path string) ([]porcupine.Operation, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var history []porcupine.Operation
	decoder := json.NewDecoder(bufio.NewReader(file))
	decoder.UseNumber()
	for decoder.More() {
		var op operation
		if err := decoder.Decode(&op); err != nil {
			return nil, err
		}
		if err := wellFormed(op); err != nil {
			return nil, err
		}
		if op.Outcome == "fail" {
			continue
		}
		back := int64(math.MaxInt64)
		if op.Outcome != "unknown" {
			back = *op.Return
		}
		history = append(history, porcupine.Operation{
			ClientId: op.Process, Input: op, Call: *op.Call, Return: back})
	}
	return history, nil
}

func main() {
	worst := 0
	for _, path := range os.Args[1:] {
		status, verdict := 2, "undecided"
		history, err := read(path)
		if err != nil {
			verdict = err.Error()
		} else if len(history) == 0 {
			status, verdict = 0, "linearizable" // which Porcupine does not say of nothing
		} else {
			switch porcupine.CheckOperationsTimeout(model, history, timeout) {
			case porcupine.Ok:
				status, verdict = 0, "linearizable"
			case porcupine.Illegal:
				status, verdict = 1, "not linearizable"
			}
		}
		fmt.Printf("%s: %s\n", path, verdict)
		if status == 1 || worst == 0 {
			worst = status
		}
	}
	os.Exit(worst)
}

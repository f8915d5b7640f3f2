/*
 * The library's call runs in a thread of its own and the caller's thread waits for it: so Ctrl-C is
 * seen, and the progress function runs where Python code may run, not in a thread of the library,
 * nor while that holds something of the store.
 *
 * A report waits for its answer, so that what is cancelled in time is cancelled; but no longer than
 * REPORT_WAIT_MS, after which it counts as "go on" and the answer is for a later report: dsq_compact
 * reports from the thread that commits, and a progress function that writes to the store would wait
 * for that very thread.
 */
#include "bindings/python/maintenance.h"

#include <signal.h>
#include <time.h>

#include "bindings/python/flush.h"
#include "bindings/python/progress.h"

#define REPORT_WAIT_MS 1000
/* How long the caller's thread sleeps between two looks at pending signals. */
#define SIGNAL_CHECK_MS 100

/* One call.  On the heap: if the interpreter ends the caller's thread, the other one still uses it. */
struct task {
    int (*run)(struct task *task);
    dsq_db *db;
    const char *path; /* of a backup */
    int overwrite;
    bool reports; /* there is a progress function */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* one of the following */
    uint64_t done, total;
    bool asked; /* a report has no answer yet */
    bool cancelled;
    bool ended;
    int status; /* once ended */
};

static struct timespec deadline_after(long ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += ms % 1000 * 1000000L;
    until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    return until;
}

/* ---- in the library's call ---- */

static void ask(struct task *task, uint64_t done, uint64_t total)
{
    struct timespec until = deadline_after(REPORT_WAIT_MS);
    bool in_time = true;
    task->done = done;
    task->total = total;
    task->asked = true;
    pthread_cond_broadcast(&task->changed);
    while (task->asked && !task->cancelled && in_time) {
        in_time = pthread_cond_timedwait(&task->changed, &task->lock, &until) == 0;
    }
}

static int report(void *context, uint64_t done, uint64_t total)
{
    struct task *task = context;
    pthread_mutex_lock(&task->lock);
    if (task->reports && !task->asked && !task->cancelled) {
        ask(task, done, total);
    }
    int cancelled = task->cancelled;
    pthread_mutex_unlock(&task->lock);
    return cancelled;
}

static int run_backup(struct task *task)
{
    return dsq_backup(task->db, task->path, task->overwrite, report, task);
}

static int run_verify(struct task *task)
{
    return dsq_verify(task->db, report, task);
}

static int run_compact(struct task *task)
{
    return dsq_compact(task->db, report, task);
}

static void *run_task(void *context)
{
    struct task *task = context;
    int status = task->run(task);
    pthread_mutex_lock(&task->lock);
    task->status = status;
    task->ended = true;
    pthread_cond_broadcast(&task->changed);
    pthread_mutex_unlock(&task->lock);
    return NULL;
}

/* ---- in the caller's thread ---- */

static struct task *task_new(const struct task *template)
{
    struct task *task = PyMem_RawCalloc(1, sizeof *task);
    if (task == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    *task = *template;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&task->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&task->lock, NULL);
    return task;
}

static void task_free(struct task *task)
{
    pthread_mutex_destroy(&task->lock);
    pthread_cond_destroy(&task->changed);
    PyMem_RawFree(task);
}

/* Signals are for the program's threads.  False with RuntimeError. */
static bool start_thread(struct task *task, pthread_t *thread)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(thread, NULL, run_task, task);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed != 0) {
        PyErr_SetString(PyExc_RuntimeError, "can't start new thread");
    }
    return failed == 0;
}

/* Waits, without the GIL, for a report or the end, or until it is time to look at signals. */
static void wait_for_event(struct task *task)
{
    struct timespec until = deadline_after(SIGNAL_CHECK_MS);
    bool in_time = true;
    while (!task->ended && (!task->asked || task->cancelled) && in_time) {
        in_time = pthread_cond_timedwait(&task->changed, &task->lock, &until) == 0;
    }
}

/*
 * Runs the Python code that there is to run, between two waits without the GIL.  The task is
 * cancelled if the answer is so, or with an exception.  False in a process forked meanwhile, which
 * does not have the task.
 */
static bool attend(struct dsq_py_db *self, struct task *task, PyObject *progress,
                   PyThreadState **thread)
{
    bool asked = task->asked;
    uint64_t done = task->done, total = task->total;
    pthread_mutex_unlock(&task->lock);
    PyEval_RestoreThread(*thread);
    bool goes_on =
        PyErr_CheckSignals() == 0 && (!asked || dsq_py_progress_call(progress, done, total));
    if (dsq_py_inherited(self)) {
        return false;
    }
    *thread = PyEval_SaveThread();
    pthread_mutex_lock(&task->lock);
    task->asked = task->asked && !asked;
    task->cancelled = !goes_on;
    pthread_cond_broadcast(&task->changed);
    return true;
}

/* Until the task has ended.  False in a forked child. */
static bool follow(struct dsq_py_db *self, struct task *task, PyObject *progress)
{
    PyThreadState *thread = dsq_py_enter(self);
    pthread_mutex_lock(&task->lock);
    while (!task->ended) {
        wait_for_event(task);
        if (!task->ended && !task->cancelled && !attend(self, task, progress, &thread)) {
            self->calls--;
            return false;
        }
    }
    pthread_mutex_unlock(&task->lock);
    dsq_py_leave(self, thread);
    return true;
}

static void begin_reporting(struct dsq_py_db *self, struct dsq_py_reporting *reporting)
{
    *reporting = (struct dsq_py_reporting){self->reportings, PyThread_get_thread_ident()};
    self->reportings = reporting;
}

static void end_reporting(struct dsq_py_db *self, struct dsq_py_reporting *reporting)
{
    struct dsq_py_reporting **link = &self->reportings;
    while (*link != reporting) {
        link = &(*link)->next;
    }
    *link = reporting->next;
}

/* The status that the task ended with; DSQ_ERR_FORKED in a forked child, which leaves it be. */
static int perform(struct dsq_py_db *self, struct task *task, PyObject *progress)
{
    struct dsq_py_reporting reporting;
    pthread_t thread;
    int status = DSQ_ERR_FORKED;
    if (!start_thread(task, &thread)) {
        task_free(task);
        return DSQ_ERR_INTERNAL;
    }
    begin_reporting(self, &reporting);
    if (follow(self, task, progress)) {
        pthread_join(thread, NULL);
        status = task->status;
        task_free(task);
    }
    end_reporting(self, &reporting);
    return status;
}

static PyObject *maintain(struct dsq_py_db *self, const struct task *template, PyObject *progress)
{
    struct task *task =
        dsq_py_progress_check(progress) && dsq_py_ready(self) ? task_new(template) : NULL;
    if (task == NULL) {
        return NULL;
    }
    task->db = self->db;
    task->reports = progress != Py_None;
    int status = perform(self, task, progress);
    if (PyErr_Occurred()) {
        return NULL;
    }
    if (status != DSQ_OK) {
        return dsq_py_raise_status(self, status);
    }
    Py_RETURN_NONE;
}

/* A flush of its own first: one that Ctrl-C can end. */
static PyObject *flush_and_maintain(struct dsq_py_db *self, const struct task *template,
                                    PyObject *progress)
{
    PyObject *flushed = dsq_py_flush(self, Py_None);
    Py_XDECREF(flushed);
    return flushed != NULL ? maintain(self, template, progress) : NULL;
}

PyObject *dsq_py_backup(struct dsq_py_db *self, PyObject *path, PyObject *progress, int overwrite)
{
    PyObject *encoded;
    if (!PyUnicode_FSConverter(path, &encoded)) {
        return NULL;
    }
    const struct task template = {
        .run = run_backup, .path = PyBytes_AS_STRING(encoded), .overwrite = overwrite};
    PyObject *result = flush_and_maintain(self, &template, progress);
    Py_DECREF(encoded);
    return result;
}

PyObject *dsq_py_verify(struct dsq_py_db *self, PyObject *progress)
{
    return maintain(self, &(const struct task){.run = run_verify}, progress);
}

PyObject *dsq_py_compact(struct dsq_py_db *self, PyObject *progress)
{
    return flush_and_maintain(self, &(const struct task){.run = run_compact}, progress);
}

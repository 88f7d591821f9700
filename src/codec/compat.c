/* Names of modules and what is in them, as Python 2 had them.
 * SPDX-License-Identifier: MIT
 *
 * Protocols 0 to 2 are written for Python 2, so Python 3 translates names on the way out and in. */
#include "codec/compat.h"

#include <stdbool.h>
#include <string.h>

struct names {
    const char *old_module, *old_name; /* old_name NULL: any */
    const char *new_module, *new_name;
};

/* An exception that kept its name; one that was OSError. */
#define EXCEPTION(name) \
    { "exceptions", #name, "builtins", #name }
#define OS_ERROR(name) \
    { "exceptions", "OSError", "builtins", #name }

/* First what both directions know, globals before modules. */
static const struct names both[] = {
    {"__builtin__", "xrange", "builtins", "range"},
    {"__builtin__", "reduce", "functools", "reduce"},
    {"__builtin__", "intern", "sys", "intern"},
    {"__builtin__", "unichr", "builtins", "chr"},
    {"__builtin__", "unicode", "builtins", "str"},
    {"__builtin__", "long", "builtins", "int"},
    {"itertools", "izip", "builtins", "zip"},
    {"itertools", "imap", "builtins", "map"},
    {"itertools", "ifilter", "builtins", "filter"},
    {"itertools", "ifilterfalse", "itertools", "filterfalse"},
    {"itertools", "izip_longest", "itertools", "zip_longest"},
    {"UserDict", "IterableUserDict", "collections", "UserDict"},
    {"UserList", "UserList", "collections", "UserList"},
    {"UserString", "UserString", "collections", "UserString"},
    {"whichdb", "whichdb", "dbm", "whichdb"},
    {"_socket", "fromfd", "socket", "fromfd"},
    {"_multiprocessing", "Connection", "multiprocessing.connection", "Connection"},
    {"multiprocessing.process", "Process", "multiprocessing.context", "Process"},
    {"multiprocessing.forking", "Popen", "multiprocessing.popen_fork", "Popen"},
    {"urllib", "ContentTooShortError", "urllib.error", "ContentTooShortError"},
    {"urllib", "getproxies", "urllib.request", "getproxies"},
    {"urllib", "pathname2url", "urllib.request", "pathname2url"},
    {"urllib", "quote_plus", "urllib.parse", "quote_plus"},
    {"urllib", "quote", "urllib.parse", "quote"},
    {"urllib", "unquote_plus", "urllib.parse", "unquote_plus"},
    {"urllib", "unquote", "urllib.parse", "unquote"},
    {"urllib", "url2pathname", "urllib.request", "url2pathname"},
    {"urllib", "urlcleanup", "urllib.request", "urlcleanup"},
    {"urllib", "urlencode", "urllib.parse", "urlencode"},
    {"urllib", "urlopen", "urllib.request", "urlopen"},
    {"urllib", "urlretrieve", "urllib.request", "urlretrieve"},
    {"urllib2", "HTTPError", "urllib.error", "HTTPError"},
    {"urllib2", "URLError", "urllib.error", "URLError"},
    /* clang-format off */
    EXCEPTION(ArithmeticError), EXCEPTION(AssertionError), EXCEPTION(AttributeError),
    EXCEPTION(BaseException), EXCEPTION(BufferError), EXCEPTION(BytesWarning),
    EXCEPTION(DeprecationWarning), EXCEPTION(EOFError), EXCEPTION(EnvironmentError),
    EXCEPTION(Exception), EXCEPTION(FloatingPointError), EXCEPTION(FutureWarning),
    EXCEPTION(GeneratorExit), EXCEPTION(IOError), EXCEPTION(ImportError), EXCEPTION(ImportWarning),
    EXCEPTION(IndentationError), EXCEPTION(IndexError), EXCEPTION(KeyError),
    EXCEPTION(KeyboardInterrupt), EXCEPTION(LookupError), EXCEPTION(MemoryError),
    EXCEPTION(NameError), EXCEPTION(NotImplementedError), EXCEPTION(OSError),
    EXCEPTION(OverflowError), EXCEPTION(PendingDeprecationWarning), EXCEPTION(ReferenceError),
    EXCEPTION(RuntimeError), EXCEPTION(RuntimeWarning), EXCEPTION(StopIteration),
    EXCEPTION(SyntaxError), EXCEPTION(SyntaxWarning), EXCEPTION(SystemError), EXCEPTION(SystemExit),
    EXCEPTION(TabError), EXCEPTION(TypeError), EXCEPTION(UnboundLocalError),
    EXCEPTION(UnicodeDecodeError), EXCEPTION(UnicodeEncodeError), EXCEPTION(UnicodeError),
    EXCEPTION(UnicodeTranslateError), EXCEPTION(UnicodeWarning), EXCEPTION(UserWarning),
    EXCEPTION(ValueError), EXCEPTION(Warning), EXCEPTION(ZeroDivisionError),
    /* clang-format on */
    {"multiprocessing", "AuthenticationError", "multiprocessing.context", "AuthenticationError"},
    {"multiprocessing", "BufferTooShort", "multiprocessing.context", "BufferTooShort"},
    {"multiprocessing", "ProcessError", "multiprocessing.context", "ProcessError"},
    {"multiprocessing", "TimeoutError", "multiprocessing.context", "TimeoutError"},
    {"__builtin__", NULL, "builtins", NULL},
    {"copy_reg", NULL, "copyreg", NULL},
    {"Queue", NULL, "queue", NULL},
    {"SocketServer", NULL, "socketserver", NULL},
    {"ConfigParser", NULL, "configparser", NULL},
    {"repr", NULL, "reprlib", NULL},
    {"tkFileDialog", NULL, "tkinter.filedialog", NULL},
    {"tkSimpleDialog", NULL, "tkinter.simpledialog", NULL},
    {"tkColorChooser", NULL, "tkinter.colorchooser", NULL},
    {"tkCommonDialog", NULL, "tkinter.commondialog", NULL},
    {"Dialog", NULL, "tkinter.dialog", NULL},
    {"Tkdnd", NULL, "tkinter.dnd", NULL},
    {"tkFont", NULL, "tkinter.font", NULL},
    {"tkMessageBox", NULL, "tkinter.messagebox", NULL},
    {"ScrolledText", NULL, "tkinter.scrolledtext", NULL},
    {"Tkconstants", NULL, "tkinter.constants", NULL},
    {"Tix", NULL, "tkinter.tix", NULL},
    {"ttk", NULL, "tkinter.ttk", NULL},
    {"Tkinter", NULL, "tkinter", NULL},
    {"markupbase", NULL, "_markupbase", NULL},
    {"_winreg", NULL, "winreg", NULL},
    {"thread", NULL, "_thread", NULL},
    {"dummy_thread", NULL, "_dummy_thread", NULL},
    {"dbhash", NULL, "dbm.bsd", NULL},
    {"dumbdbm", NULL, "dbm.dumb", NULL},
    {"dbm", NULL, "dbm.ndbm", NULL},
    {"gdbm", NULL, "dbm.gnu", NULL},
    {"xmlrpclib", NULL, "xmlrpc.client", NULL},
    {"SimpleXMLRPCServer", NULL, "xmlrpc.server", NULL},
    {"httplib", NULL, "http.client", NULL},
    {"htmlentitydefs", NULL, "html.entities", NULL},
    {"HTMLParser", NULL, "html.parser", NULL},
    {"Cookie", NULL, "http.cookies", NULL},
    {"cookielib", NULL, "http.cookiejar", NULL},
    {"BaseHTTPServer", NULL, "http.server", NULL},
    {"test.test_support", NULL, "test.support", NULL},
    {"commands", NULL, "subprocess", NULL},
    {"urlparse", NULL, "urllib.parse", NULL},
    {"robotparser", NULL, "urllib.robotparser", NULL},
    {"urllib2", NULL, "urllib.request", NULL},
    {"anydbm", NULL, "dbm", NULL},
    {"_abcoll", NULL, "collections.abc", NULL},
};

/* Only read. */
static const struct names only_old[] = {
    {"__builtin__", "basestring", "builtins", "str"},
    {"exceptions", "StandardError", "builtins", "Exception"},
    {"UserDict", "UserDict", "collections", "UserDict"},
    {"socket", "_socketobject", "socket", "SocketType"},
    {"cPickle", NULL, "pickle", NULL},
    {"_elementtree", NULL, "xml.etree.ElementTree", NULL},
    {"FileDialog", NULL, "tkinter.filedialog", NULL},
    {"SimpleDialog", NULL, "tkinter.simpledialog", NULL},
    {"DocXMLRPCServer", NULL, "xmlrpc.server", NULL},
    {"SimpleHTTPServer", NULL, "http.server", NULL},
    {"CGIHTTPServer", NULL, "http.server", NULL},
    {"UserDict", NULL, "collections", NULL},
    {"UserList", NULL, "collections", NULL},
    {"UserString", NULL, "collections", NULL},
    {"whichdb", NULL, "dbm", NULL},
    {"StringIO", NULL, "io", NULL},
    {"cStringIO", NULL, "io", NULL},
};

/* Only written. */
static const struct names only_new[] = {
    {"__builtin__", "reduce", "_functools", "reduce"},
    {"FileDialog", "FileDialog", "tkinter.filedialog", "FileDialog"},
    {"FileDialog", "LoadFileDialog", "tkinter.filedialog", "LoadFileDialog"},
    {"FileDialog", "SaveFileDialog", "tkinter.filedialog", "SaveFileDialog"},
    {"SimpleDialog", "SimpleDialog", "tkinter.simpledialog", "SimpleDialog"},
    {"DocXMLRPCServer", "ServerHTMLDoc", "xmlrpc.server", "ServerHTMLDoc"},
    {"DocXMLRPCServer", "XMLRPCDocGenerator", "xmlrpc.server", "XMLRPCDocGenerator"},
    {"DocXMLRPCServer", "DocXMLRPCRequestHandler", "xmlrpc.server", "DocXMLRPCRequestHandler"},
    {"DocXMLRPCServer", "DocXMLRPCServer", "xmlrpc.server", "DocXMLRPCServer"},
    {"DocXMLRPCServer", "DocCGIXMLRPCRequestHandler", "xmlrpc.server",
     "DocCGIXMLRPCRequestHandler"},
    {"SimpleHTTPServer", "SimpleHTTPRequestHandler", "http.server", "SimpleHTTPRequestHandler"},
    {"CGIHTTPServer", "CGIHTTPRequestHandler", "http.server", "CGIHTTPRequestHandler"},
    {"socket", "_socketobject", "_socket", "socket"},
    /* clang-format off */
    OS_ERROR(BrokenPipeError), OS_ERROR(ChildProcessError), OS_ERROR(ConnectionAbortedError),
    OS_ERROR(ConnectionError), OS_ERROR(ConnectionRefusedError), OS_ERROR(ConnectionResetError),
    OS_ERROR(FileExistsError), OS_ERROR(FileNotFoundError), OS_ERROR(InterruptedError),
    OS_ERROR(IsADirectoryError), OS_ERROR(NotADirectoryError), OS_ERROR(PermissionError),
    OS_ERROR(ProcessLookupError), OS_ERROR(TimeoutError),
    /* clang-format on */
    {"exceptions", "ImportError", "builtins", "ModuleNotFoundError"},
    {"bz2", NULL, "_bz2", NULL},
    {"dbm", NULL, "_dbm", NULL},
    {"functools", NULL, "_functools", NULL},
    {"gdbm", NULL, "_gdbm", NULL},
    {"pickle", NULL, "_pickle", NULL},
};

static bool is_text(const char *text, size_t size, const char *other) {
    return strlen(other) == size && memcmp(text, other, size) == 0;
}

static bool translate(const struct names *table, size_t count, bool to_old, const char **module,
                      size_t *module_size, const char **name, size_t *name_size) {
    for (size_t i = 0; i < count; i++) {
        const struct names *row = &table[i];
        if (!is_text(*module, *module_size, to_old ? row->new_module : row->old_module) ||
            (row->old_name && !is_text(*name, *name_size, to_old ? row->new_name : row->old_name)))
            continue;
        *module = to_old ? row->old_module : row->new_module;
        *module_size = strlen(*module);
        if (!row->old_name)
            return true;
        *name = to_old ? row->old_name : row->new_name;
        *name_size = strlen(*name);
        return true;
    }
    return false;
}

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

void mp__compat_to_old(const char **module, size_t *module_size, const char **name,
                       size_t *name_size) {
    if (!translate(both, COUNT(both), true, module, module_size, name, name_size))
        translate(only_new, COUNT(only_new), true, module, module_size, name, name_size);
}

void mp__compat_to_new(const char **module, size_t *module_size, const char **name,
                       size_t *name_size) {
    if (!translate(both, COUNT(both), false, module, module_size, name, name_size))
        translate(only_old, COUNT(only_old), false, module, module_size, name, name_size);
}

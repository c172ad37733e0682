/* dirent.h - names in a folder as UTF-8, with what they are (dirent.c). */
#pragma once
enum { DT_UNKNOWN = 0, DT_DIR = 4, DT_REG = 8, DT_LNK = 10 };
struct dirent {
    unsigned char d_type;
    char d_name[260 * 3 + 1];
};
typedef struct windows_folder DIR;
DIR *opendir(const char *path);
struct dirent *readdir(DIR *folder);
int closedir(DIR *folder);
